/* SPDX-License-Identifier: GPL-2.0-only */
/* Owning local variables: they release what they hold at the end of their scope unless TAKE_FD() or TAKE_PTR() moved it. */
#ifndef VST_CLEANUP_H
#define VST_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void vst_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void vst_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void vst_cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(vst_cleanup_free)
#define _cleanup_close_ _cleanup_(vst_cleanup_close) /* start at -1 */
#define _cleanup_fclose_ _cleanup_(vst_cleanup_fclose)

#define TAKE_FD(fd)                                                                                                    \
	({                                                                                                             \
		int taken_ = (fd);                                                                                     \
		(fd) = -1;                                                                                             \
		taken_;                                                                                                \
	})

#define TAKE_PTR(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) taken_ = (p);                                                                            \
		(p) = NULL;                                                                                            \
		taken_;                                                                                                \
	})

#endif /* VST_CLEANUP_H */
