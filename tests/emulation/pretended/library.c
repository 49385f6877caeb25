/* SPDX-License-Identifier: Apache-2.0
 *
 * library.c - stands for cuDNN or cuBLASLt where tests ask which of them is found, and which is refused: it knows its version, no more.
 * And for a libghl_cuda.so that was built with other headers.
 */
#include <stddef.h>
#include <stdint.h>

#define SEEN __attribute__((visibility("default")))
SEEN size_t cudnnGetVersion(void);
SEEN size_t cublasLtGetVersion(void);

size_t cudnnGetVersion(void)
{
    return VERSION;
}

size_t cublasLtGetVersion(void)
{
    return VERSION;
}

SEEN const uint64_t *ghl_device_plugin(const void *services);

const uint64_t *ghl_device_plugin(const void *services)
{
    static const uint64_t interface[2] = {1, 0};
    (void)services;
    return interface;
}
