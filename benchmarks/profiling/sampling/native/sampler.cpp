// A sampling profiler of this process: at random times, the address of the instruction that each thread is at.
//
// The sampler is a thread that wakes at random intervals. It reads from /proc which threads run and which wait, and
// sends a signal to those that run; their handler notes where they were. A waiting thread gets no signal: its system
// call is not interrupted. Stacks are followed by frame pointers only, so a sample costs a few microseconds.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr int kMostThreads = 256;
constexpr int kSamplesBetweenLists = 64;  // after so many samples the threads are listed again
constexpr std::uint64_t kWaits = 0;       // in place of an address
constexpr std::uint64_t kPreempted = 1;
constexpr std::uint64_t kSliceNanoseconds = 100000;  // the least that Linux grants a thread

// One thread in one sample, in the layout that the Python side reads.
struct SampledThread {
    std::uint64_t address;
    std::uint64_t caller;       // the return address on its stack that lies in the requested code, or 0
    std::uint64_t nanoseconds;  // CLOCK_MONOTONIC when the main thread answered
    std::uint32_t sample;
    std::int32_t thread;
    std::int32_t pass;
    std::uint32_t interval;  // the random interval between the previous sample and this one, in nanoseconds
};

struct Watched {
    pid_t thread = 0;
    int stat = -1;
};

// What the signal handler of a thread writes: where the thread is, and when.
struct Slot {
    std::atomic<std::uint64_t> address{0}, caller{0}, nanoseconds{0};
    std::atomic<std::uint64_t> stack_end{0};  // 0 where no caller is wanted
    std::atomic<std::int32_t> pass{0};
};

constexpr int kMostFrames = 32;  // frames of a stack that are followed
constexpr int kMostRanges = 64;

struct Range {
    std::uint64_t begin, end;
};
Range code[kMostRanges];
std::atomic<int> ranges{0};

Slot slots[kMostThreads];
std::atomic<std::int32_t> pass_now{0};

std::uint64_t nanoseconds_now() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000000000 + static_cast<std::uint64_t>(now.tv_nsec);
}

int signal_number() { return SIGRTMIN + 7; }

std::uint64_t instruction(const void* context) {
    const auto* machine = &static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    return static_cast<std::uint64_t>(machine->gregs[REG_RIP]);
#elif defined(__aarch64__)
    return machine->pc;
#else
#error "the register of the instruction's address is not known for this processor"
#endif
}

struct Frame {
    std::uint64_t before, returns_to;
};

// The stack pointer and the frame pointer of the interrupted thread.
std::pair<std::uint64_t, std::uint64_t> stack(const void* context) {
    const auto* machine = &static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    return {static_cast<std::uint64_t>(machine->gregs[REG_RSP]), static_cast<std::uint64_t>(machine->gregs[REG_RBP])};
#else
    return {machine->sp, machine->regs[29]};
#endif
}

// The first return address within the requested code. Following stops at a value that is no frame of this stack: code
// without frame pointers keeps other values in that register.
std::uint64_t caller_within(int count, const void* context, std::uint64_t stack_end) {
    auto [least, frame] = stack(context);
    for (int i = 0; i < kMostFrames; ++i) {
        if (frame < least || frame % alignof(Frame) != 0 || frame > stack_end - sizeof(Frame)) return 0;
        const auto [before, returns_to] = *reinterpret_cast<const Frame*>(frame);
        for (const Range* range = code; range != code + count; ++range)
            if (returns_to >= range->begin && returns_to < range->end) return returns_to;
        least = frame + sizeof(Frame);
        frame = before;
    }
    return 0;
}

void note_address(int, siginfo_t* info, void* context) {
    const int saved = errno;
    const auto index = static_cast<unsigned>(info->si_value.sival_int);
    if (info->si_code == SI_QUEUE && index < kMostThreads) {
        Slot& slot = slots[index];
        const int count = ranges.load(std::memory_order_acquire);
        slot.pass.store(pass_now.load(std::memory_order_relaxed), std::memory_order_relaxed);
        slot.nanoseconds.store(nanoseconds_now(), std::memory_order_relaxed);
        const std::uint64_t stack_end = slot.stack_end.load(std::memory_order_relaxed);
        slot.caller.store(stack_end == 0 ? 0 : caller_within(count, context, stack_end), std::memory_order_relaxed);
        slot.address.store(instruction(context), std::memory_order_release);
    }
    errno = saved;
}

// Sends the signal to one thread, with the index of its slot as the value.
bool ask(pid_t thread, int index) {
    siginfo_t info;
    std::memset(&info, 0, sizeof info);
    info.si_signo = signal_number();
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = index;
    return syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, signal_number(), &info) == 0;
}

struct State {
    char letter = 0;  // R running or runnable, S and D waiting; 0 when the thread has ended
    int core = -1;    // the core that it ran on last; -1 where that is not known
};

// The third and the 39th field of proc_pid_stat(5); the second is a name in parentheses.
State state_of(int stat) {
    char text[1024];
    const ssize_t length = pread(stat, text, sizeof text - 1, 0);
    if (length <= 0) return {};
    text[length] = 0;
    const char* at = std::strrchr(text, ')');
    if (at == nullptr || at[1] != ' ') return {};
    const State found{at[2], -1};
    for (int field = 2; field < 39 && at != nullptr; ++field) at = std::strchr(at + 1, ' ');
    return {found.letter, at == nullptr ? -1 : std::atoi(at)};
}

class Sampler {
  public:
    Sampler(double seconds, long capacity) : seconds_(seconds), capacity_(capacity) {
        sampled_.reserve(static_cast<std::size_t>(capacity));
        main_ = static_cast<pid_t>(syscall(SYS_gettid));
        pthread_attr_t attributes;
        if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
        void* begin = nullptr;
        std::size_t size = 0;
        if (pthread_attr_getstack(&attributes, &begin, &size) == 0)
            stack_end_ = reinterpret_cast<std::uint64_t>(begin) + size;
        pthread_attr_destroy(&attributes);
    }

    void start() {
        thread_ = std::thread([this] { watch(); });
        began_.wait(false);  // the calls to be sampled begin after the sampler has a core
    }

    void stop() {
        more_.store(false);
        thread_.join();
        for (const Watched& watched : watched_) close(watched.stat);
        watched_.clear();
    }

    const std::vector<SampledThread>& sampled() const { return sampled_; }

  private:
    void watch() {
        self_ = static_cast<pid_t>(syscall(SYS_gettid));
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        ask_for_short_slice();
        // Random intervals do not fall into step with a loop. With one seed for all, the mean of the few intervals of a
        // short block would be off in the same direction in every block.
        std::mt19937 random(std::random_device{}());
        std::uniform_real_distribution<double> interval(0.5 * seconds_, 1.5 * seconds_), part(0.0, 1.0);
        // The start is a random time in an endless row of intervals: the longer an interval, the likelier it holds the
        // start. So the intervals of all samples add up to the sampled time in the mean, though some time is left after
        // the last sample.
        double drawn = interval(random);
        while (part(random) * 1.5 * seconds_ > drawn) drawn = interval(random);
        double sleep = part(random) * drawn;
        list_threads();
        timespec next;
        clock_gettime(CLOCK_MONOTONIC, &next);
        began_.store(true);
        began_.notify_one();
        for (long turn = 1; more_.load(); ++turn) {
            if (turn % kSamplesBetweenLists == 0) list_threads();
            const auto nanoseconds = static_cast<long>(sleep * 1e9) + next.tv_nsec;
            next.tv_sec += nanoseconds / 1000000000;
            next.tv_nsec = nanoseconds % 1000000000;
            while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr) == EINTR) {
            }
            collect();
            take_sample(drawn);
            drawn = sleep = interval(random);
        }
        // The last signal handlers may still run.
        timespec pause{0, 20000000};
        nanosleep(&pause, nullptr);
        collect();
    }

    // From Linux 6.12 on, a thread with a shorter slice than the running one preempts it when it wakes (sched_setattr(2),
    // "sched_runtime"). Without that the scheduler lets a thread that has just slept run on for milliseconds: samples of
    // what it computes then come when it sleeps again, and count as waiting. Older kernels have no slice to set.
    static void ask_for_short_slice() {
        struct {
            std::uint32_t size, policy;
            std::uint64_t flags;
            std::int32_t nice;
            std::uint32_t priority;
            std::uint64_t runtime, deadline, period;
        } attributes{};  // struct sched_attr, which glibc has from version 2.41 on
        if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
        attributes.runtime = kSliceNanoseconds;
        syscall(SYS_sched_setattr, 0, &attributes, 0);
    }

    // Threads are also asked between calls: the main thread may be in a call when it answers.
    void take_sample(double interval) {
        if (sampled_.size() + watched_.size() > static_cast<std::size_t>(capacity_)) return;
        ++number_;
        begin_ = sampled_.size();
        pass_ = pass_now.load(std::memory_order_relaxed);
        const std::uint64_t nanoseconds = nanoseconds_now();
        for (std::size_t i = 0; i < watched_.size(); ++i) {
            const State state = state_of(watched_[i].stat);
            const bool runs = state.letter == 'R';
            if (watched_[i].thread == main_) follow(state.core);
            if (!runs && watched_[i].thread != main_) continue;
            sampled_.push_back(
                {kWaits, 0, nanoseconds, static_cast<std::uint32_t>(number_), watched_[i].thread, pass_,
                 static_cast<std::uint32_t>(interval * 1e9)});
            if (!runs) continue;
            sampled_.back().address = kPreempted;
            slots[i].address.store(0, std::memory_order_relaxed);
            slots[i].stack_end.store(watched_[i].thread == main_ ? stack_end_ : 0, std::memory_order_relaxed);
            if (ask(watched_[i].thread, static_cast<int>(i))) asked_.push_back({i, sampled_.size() - 1});
        }
    }

    // Keeps the sampler on the core of the main thread, which then answers from where it was preempted. On another core
    // the sampler would preempt a thread that the main one works with, and sample what the main one does without it.
    void follow(int core) {
        if (core < 0 || core >= CPU_SETSIZE || core == core_) return;
        cpu_set_t cores;
        CPU_ZERO(&cores);
        CPU_SET(static_cast<std::size_t>(core), &cores);
        if (sched_setaffinity(0, sizeof cores, &cores) == 0) core_ = core;
    }

    // Takes over what the handlers have written since the last sample. The sample's pass is that of the main thread's
    // answer.
    void collect() {
        for (const Asked& asked : asked_) {
            const Slot& slot = slots[asked.slot];
            SampledThread& thread = sampled_[asked.place];
            const std::uint64_t address = slot.address.load(std::memory_order_acquire);
            if (address == 0) continue;
            thread.address = address;
            thread.caller = slot.caller.load(std::memory_order_relaxed);
            if (thread.thread != main_) continue;
            pass_ = slot.pass.load(std::memory_order_relaxed);
            thread.nanoseconds = slot.nanoseconds.load(std::memory_order_relaxed);
        }
        asked_.clear();
        if (pass_ == 0) sampled_.resize(begin_);
        for (std::size_t i = begin_; i < sampled_.size(); ++i) sampled_[i].pass = pass_;
        begin_ = sampled_.size();
    }

    void list_threads() {
        for (const Watched& watched : watched_) close(watched.stat);
        watched_.clear();
        DIR* folder = opendir("/proc/self/task");
        if (folder == nullptr) return;
        while (const dirent* entry = readdir(folder)) {
            const pid_t thread = std::atoi(entry->d_name);
            if (thread <= 0 || thread == self_ || watched_.size() == kMostThreads) continue;
            char path[64];
            std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
            const int stat = open(path, O_RDONLY | O_CLOEXEC);
            if (stat >= 0) watched_.push_back({thread, stat});
        }
        closedir(folder);
    }

    struct Asked {
        std::size_t slot, place;  // its place among `sampled_`
    };

    const double seconds_;
    const long capacity_;
    pid_t main_ = 0, self_ = 0;
    int core_ = -1;                // the core that the sampler is kept on
    std::uint64_t stack_end_ = 0;  // end of the main thread's stack; 0 where it is not known
    long number_ = 0;              // number of the last sample
    std::size_t begin_ = 0;        // where the threads of the last sample begin
    std::int32_t pass_ = 0;        // pass of the last sample
    std::atomic<bool> began_{false}, more_{true};
    std::vector<Watched> watched_;
    std::vector<Asked> asked_;
    std::vector<SampledThread> sampled_;
    std::thread thread_;
};

std::unique_ptr<Sampler> running;

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// The variable in which the caller writes its pass: 0 between calls, where samples are dropped.
EXPORT std::int32_t* sampler_pass() { return reinterpret_cast<std::int32_t*>(&pass_now); }

// Has each sample also hold the main thread's return address within these ranges of code, pairs of addresses.
EXPORT void sampler_callers(const std::uint64_t* addresses, int count) {
    count = std::min(count, kMostRanges);
    ranges.store(0);
    for (int i = 0; i < count; ++i) code[i] = {addresses[2 * i], addresses[2 * i + 1]};
    ranges.store(count, std::memory_order_release);
}

// Begins to sample the threads of this process; the calling thread is the main one. Returns 0 or errno.
EXPORT int sampler_start(double seconds, long capacity) {
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    action.sa_sigaction = note_address;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    if (sigaction(signal_number(), &action, nullptr) != 0) return errno;
    try {
        running = std::make_unique<Sampler>(seconds, capacity);
        running->start();
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    } catch (const std::system_error&) {
        return EAGAIN;
    }
    return 0;
}

// Ends sampling. Returns the number of sampled threads.
EXPORT long sampler_stop() {
    running->stop();
    return static_cast<long>(running->sampled().size());
}

EXPORT const void* sampler_sampled_threads() { return running->sampled().data(); }
