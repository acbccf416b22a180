// What the kernel needs of the GPU, and nothing of a header: NVRTC is given no include path.
// tests/emulated_gpu/device.hpp says the same in plain C++, so that the kernel runs on a CPU.

#if SCALAR_BITS == 32
typedef unsigned int Raw;
#else
typedef unsigned short Raw;
#endif

__device__ __forceinline__ float to_float(Raw raw) {
#if SCALAR_FLOAT16
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(raw));
    return value;
#elif SCALAR_BFLOAT16
    return __uint_as_float(static_cast<unsigned int>(raw) << 16);
#else
    return __uint_as_float(raw);
#endif
}

// To nearest, ties to even; what is not a number is made the positive quiet NaN by the caller.
__device__ __forceinline__ Raw to_raw(float value) {
#if SCALAR_FLOAT16
    Raw raw;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(raw) : "f"(value));
    return raw;
#elif SCALAR_BFLOAT16
    Raw raw;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(raw) : "f"(value));
    return raw;
#else
    return __float_as_uint(value);
#endif
}

__device__ __forceinline__ float from_lane(float value, int offset) {
    return __shfl_xor_sync(0xffffffffu, value, offset);
}

extern __shared__ float4 shared_vectors[];

__device__ __forceinline__ float* shared_memory() { return reinterpret_cast<float*>(shared_vectors); }

// Words as they lie in the L2 cache now, whichever multiprocessor wrote them. Each word is read whole.
__device__ __forceinline__ void read_now(const Raw* address, unsigned int (&words)[EXCHANGE_WORDS]) {
#if EXCHANGE_BYTES == 16
    asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "l"(address)
                 : "memory");
#elif EXCHANGE_BYTES == 8
    asm volatile("ld.relaxed.gpu.global.v2.u32 {%0, %1}, [%2];"
                 : "=r"(words[0]), "=r"(words[1])
                 : "l"(address)
                 : "memory");
#elif EXCHANGE_BYTES == 4
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(words[0]) : "l"(address) : "memory");
#else
    unsigned short half_word;
    asm volatile("ld.relaxed.gpu.global.u16 %0, [%1];" : "=h"(half_word) : "l"(address) : "memory");
    words[0] = half_word;
#endif
}

__device__ __forceinline__ void publish(Raw* address, Raw raw) {
#if SCALAR_BITS == 32
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" : : "l"(address), "r"(raw) : "memory");
#else
    asm volatile("st.relaxed.gpu.global.u16 [%0], %1;" : : "l"(address), "h"(raw) : "memory");
#endif
}

// A state that never comes becomes an error of the launch, after some ten seconds, rather than a hang.
__device__ __forceinline__ void give_up() { asm volatile("trap;"); }
