/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel, as far as the files that the Makefile calls MODULE use it. The
 * Makefile includes this file ahead of every source; it has the guard of the
 * module's own core_internal.h, which thereby becomes empty. The headers that
 * module's files ask for by name are in include/linux/ and lead here too.
 *
 * Every READ_ONCE(), WRITE_ONCE(), atomic64_read(), barrier and copy from user
 * memory passes unit_hook, so that a test can see the order of accesses and play
 * the driver between any two of them.
 */
#ifndef VHOST_BLK_CORE_INTERNAL_H
#define VHOST_BLK_CORE_INTERNAL_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <linux/types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <linux/vhost_blk.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define U16_MAX ((u16)~0)
#define U32_MAX ((u32)~0U)
#define U64_MAX ((u64)~0ULL)
#define S64_MAX ((s64)(U64_MAX >> 1))

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define TASK_SIZE ((1UL << 47) - PAGE_SIZE)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))

#define min(a, b)                                  \
	({                                         \
		__typeof__(a) unit_a = (a);        \
		__typeof__(b) unit_b = (b);        \
		/* warns where types differ */     \
		(void)(&unit_a == &unit_b);        \
		unit_a < unit_b ? unit_a : unit_b; \
	})

#define max(a, b)                                  \
	({                                         \
		__typeof__(a) unit_a = (a);        \
		__typeof__(b) unit_b = (b);        \
		(void)(&unit_a == &unit_b);        \
		unit_a > unit_b ? unit_a : unit_b; \
	})

#define min_t(type, a, b)                          \
	({                                         \
		type unit_a = (a);                 \
		type unit_b = (b);                 \
		unit_a < unit_b ? unit_a : unit_b; \
	})

#define max_t(type, a, b)                          \
	({                                         \
		type unit_a = (a);                 \
		type unit_b = (b);                 \
		unit_a > unit_b ? unit_a : unit_b; \
	})

#define clamp(val, lo, hi) min(max(val, lo), hi)

#define div_u64(a, b) ((u64)(a) / (u32)(b))

/* A warning ends the test. */
#define WARN_ON_ONCE(x)            \
	({                         \
		bool unit_x = (x); \
		if (unit_x)        \
			abort();   \
		unit_x;            \
	})

/* Accesses to memory that is shared with the driver */

enum unit_op {
	UNIT_LOAD,    /* called after the load */
	UNIT_ATOMIC,  /* called after atomic64_read() */
	UNIT_STORE,   /* called before the store */
	UNIT_RELEASE, /* a store-release: called before it */
	UNIT_COPY,    /* a piece of user memory has been copied */
	UNIT_BARRIER, /* called after the barrier, as for the next two */
	UNIT_RMB,
	UNIT_MB,
};

typedef void unit_hook_fn(enum unit_op op, const volatile void *p, size_t size);

extern unit_hook_fn *unit_hook;

#define unit_note(op, p, size)                      \
	do {                                        \
		if (unit_hook)                      \
			unit_hook(op, (p), (size)); \
	} while (0)

#define READ_ONCE(x)                                                          \
	({                                                                    \
		__typeof__(x) unit_v = *(const volatile __typeof__(x) *)&(x); \
		unit_note(UNIT_LOAD, &(x), sizeof(x));                        \
		unit_v;                                                       \
	})

#define WRITE_ONCE(x, val)                               \
	do {                                             \
		unit_note(UNIT_STORE, &(x), sizeof(x));  \
		*(volatile __typeof__(x) *)&(x) = (val); \
	} while (0)

#define smp_store_release(p, val)                               \
	do {                                                    \
		unit_note(UNIT_RELEASE, (p), sizeof(*(p)));     \
		__atomic_store_n((p), (val), __ATOMIC_RELEASE); \
	} while (0)

#define barrier()                                  \
	do {                                       \
		__asm__ volatile("" ::: "memory"); \
		unit_note(UNIT_BARRIER, NULL, 0);  \
	} while (0)

#define smp_rmb()                                        \
	do {                                             \
		__atomic_thread_fence(__ATOMIC_ACQUIRE); \
		unit_note(UNIT_RMB, NULL, 0);            \
	} while (0)

#define smp_mb()                                         \
	do {                                             \
		__atomic_thread_fence(__ATOMIC_SEQ_CST); \
		unit_note(UNIT_MB, NULL, 0);             \
	} while (0)

/* Byte order */

static inline u16 __virtio16_to_cpu(bool little_endian, __virtio16 val)
{
	return little_endian ? le16toh(val) : be16toh(val);
}

static inline u32 __virtio32_to_cpu(bool little_endian, __virtio32 val)
{
	return little_endian ? le32toh(val) : be32toh(val);
}

static inline u64 __virtio64_to_cpu(bool little_endian, __virtio64 val)
{
	return little_endian ? le64toh(val) : be64toh(val);
}

static inline __virtio16 __cpu_to_virtio16(bool little_endian, u16 val)
{
	return little_endian ? htole16(val) : htobe16(val);
}

static inline __virtio32 __cpu_to_virtio32(bool little_endian, u32 val)
{
	return little_endian ? htole32(val) : htobe32(val);
}

static inline __virtio64 __cpu_to_virtio64(bool little_endian, u64 val)
{
	return little_endian ? htole64(val) : htobe64(val);
}

/* User memory: what the tests call guest memory, at its own addresses */

#define __user
#define u64_to_user_ptr(x) ((void *)(uintptr_t)(x))
/* As on a processor that ignores the uppermost byte of addresses. */
#define untagged_addr(addr) ((addr) & ~(0xffUL << 56))
#define access_ok(p, size)      \
	((size) <= TASK_SIZE && \
	 untagged_addr((uintptr_t)(p)) <= TASK_SIZE - (size))

/* A copy that touches [at, at + len) fails, as if nothing were mapped there. */
extern struct unit_fault {
	u64 at, len;
} unit_fault;

unsigned long copy_from_user(void *dst, const void *src, unsigned long n);

/* The rest of what mem.c and tlb.c need */

#define GFP_KERNEL_ACCOUNT 0
#define MAX_ERRNO 4095
#define ERR_PTR(err) ((void *)(intptr_t)(err))
#define PTR_ERR(p) ((int)(intptr_t)(p))
#define IS_ERR(p) ((uintptr_t)(p) >= (uintptr_t)-MAX_ERRNO)
#define check_add_overflow(a, b, sum) __builtin_add_overflow(a, b, sum)
#define struct_size(p, member, n) (sizeof(*(p)) + (n) * sizeof((p)->member[0]))

extern bool unit_no_memory; /* the next allocation fails */

void *kvzalloc(size_t size, int gfp);
void kvfree(void *p);
void sort(void *base, size_t n, size_t size,
	  int (*cmp)(const void *, const void *), void *swap);

#endif /* VHOST_BLK_CORE_INTERNAL_H */
