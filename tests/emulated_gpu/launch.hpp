// The launch of the kernel whose text stands above: all blocks at once, as a cooperative launch has them.

static Arguments launched;

extern "C" int emulate(Arguments arguments, int slices, int row_blocks, int directions, long shared_bytes,
                       unsigned seed) {
    using namespace emulated;
    std::vector<Block> blocks(static_cast<size_t>(slices) * row_blocks * directions);
    std::vector<Fiber> fibers(blocks.size() * THREADS);
    // Left as it is, for most of it is never touched.
    char* const stacks = new char[fibers.size() * STACK_BYTES];
    for (size_t number = 0; number < blocks.size(); ++number) {
        Block& block = blocks[number];
        const int n = static_cast<int>(number);
        block.index = {n % slices, n / slices % row_blocks, n / slices / row_blocks};
        block.barrier.size = THREADS;
        block.warps.resize(THREADS / 32);
        for (Barrier& warp : block.warps) warp.size = 32;
        for (auto& lanes : block.lanes) lanes.resize(THREADS);
        // What a launch finds in shared memory is anything.
        const float anything = __builtin_nanf("");
        block.shared.assign(shared_bytes / sizeof(float4) + 1, float4{anything, anything, anything, anything});
        for (int thread = 0; thread < THREADS; ++thread) {
            Fiber& fiber = fibers[number * THREADS + thread];
            fiber.block = &block;
            fiber.thread = thread;
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = stacks + (number * THREADS + thread) * STACK_BYTES;
            fiber.context.uc_stack.ss_size = STACK_BYTES;
            makecontext(&fiber.context, run_fiber, 0);
        }
    }
    progress = 0;
    fault = 0;
    launched = arguments;
    body = [] { recurrence(launched); };
    const bool ended = run(blocks, fibers, seed);
    delete[] stacks;
    return ended ? fault : 1;
}
