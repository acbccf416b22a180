/* The functions of the CUDA driver that a launch needs, as cuda.h declares them. What they were given is kept. */

#include <string.h>

typedef int CUresult;
typedef struct module *CUmodule;
typedef struct function *CUfunction;
typedef struct stream *CUstream;

struct {
    char image[16], name[16];
    unsigned int sizes[7];
    CUstream stream;
    unsigned char argument[72];
    int cooperative;
} seen;

int result;

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    strncpy(seen.image, image, sizeof seen.image - 1);
    *module = (CUmodule)1;
    return result;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    if (module != (CUmodule)1) return 1;
    strncpy(seen.name, name, sizeof seen.name - 1);
    *function = (CUfunction)0x123456789abcdef0;
    return 0;
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int gridDimX, unsigned int gridDimY,
                                   unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY,
                                   unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream,
                                   void **kernelParams) {
    if (function != (CUfunction)0x123456789abcdef0) return 1;
    const unsigned int sizes[7] = {gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes};
    memcpy(seen.sizes, sizes, sizeof sizes);
    seen.stream = hStream;
    memcpy(seen.argument, kernelParams[0], sizeof seen.argument);
    seen.cooperative = 1;
    return result;
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ,
                        unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ,
                        unsigned int sharedMemBytes, CUstream hStream, void **kernelParams, void **extra) {
    const CUresult given = extra == 0 ? cuLaunchCooperativeKernel(function, gridDimX, gridDimY, gridDimZ, blockDimX,
                                                                 blockDimY, blockDimZ, sharedMemBytes, hStream,
                                                                 kernelParams)
                                      : 1;
    seen.cooperative = 0;
    return given;
}

CUresult cuGetErrorString(CUresult error, const char **said) {
    *said = error == 720 ? "too many blocks in cooperative launch" : 0;
    return 0;
}
