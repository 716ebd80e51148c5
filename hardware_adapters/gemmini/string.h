// The four functions that compilers may call on their own, and that kernels may therefore name (runtime.c has them).
#ifndef GEMMINI_STRING_H
#define GEMMINI_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);

#endif
