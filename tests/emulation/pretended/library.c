/* SPDX-License-Identifier: Apache-2.0
 *
 * library.c - stands for cuDNN or cuBLASLt where tests ask which of them is found, and which is refused: it knows its version, no more.
 */
#include <stddef.h>

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
