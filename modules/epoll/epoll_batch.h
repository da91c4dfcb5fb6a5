/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Delivering events in batches: beyond upstream.
 *
 * Included by a copy of the kernel's fs/eventpoll.c, behind what it uses: the
 * struct eventpoll, struct epitem and eventpoll_fops, ep_start_scan(), ep_done_scan(),
 * ep_item_poll(), ep_wakeup_source() and ep_pm_stay_awake().
 */
#ifndef _UPLIFT_EPOLL_BATCH_H
#define _UPLIFT_EPOLL_BATCH_H

#include <linux/build_bug.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pm_wakeup.h>
#include <linux/sched/signal.h>

#include "epoll_put.h"

/* Events per scope: twice what is asked for, at 192 bytes of stack. */
#define EPOLL_BATCH	16

/*
 * The batch is written before it is read: not cleared first, where the kernel's
 * configuration has all arrays cleared.
 */
#if __has_attribute(__uninitialized__)
#define EPOLL_UNINITIALIZED	__attribute__((__uninitialized__))
#else
#define EPOLL_UNINITIALIZED
#endif

/* Two events are a whole number of words. */
#define EPOLL_PAIR_WORDS	(2 * sizeof(struct epoll_event) / sizeof(u64))

/*
 * Deliver events in one scope, two at a time, as words. A word may have bytes
 * of two events: after a fault they are delivered again, one by one.
 * Return: how many were delivered before a fault.
 */
static __always_inline int epoll_batch_put(const struct epoll_event *batch, int n,
					   struct epoll_event __user *uevents)
{
	const struct epoll_event *event = batch;
	struct epoll_event __user *uevent = uevents;
	const u64 *word;
	u64 __user *to;
	int i;

	BUILD_BUG_ON(EPOLL_PAIR_WORDS * sizeof(u64) != 2 * sizeof(struct epoll_event));

	__uaccess_begin();
	for (; event + 1 < batch + n; event += 2, uevent += 2) {
		word = (const u64 *)event;
		to = (u64 __user *)uevent;
#pragma GCC unroll 4
		for (i = 0; i < EPOLL_PAIR_WORDS; i++)
			unsafe_put_user(word[i], to + i, efault);
	}
	if (event < batch + n) {
		unsafe_put_user((__force __u32)event->events, (__u32 __user *)&uevent->events,
				efault);
		unsafe_put_user(event->data, &uevent->data, efault);
	}
	__uaccess_end();
	return n;

efault:
	__uaccess_end();
	for (i = 0; i < n; i++)
		if (!uplift_put_uevent(batch[i].events, batch[i].data, uevents + i))
			break;
	return i;
}

/*
 * How many events a batch may have that is delivered to @uevents: as many as lie
 * in one page, if that can be written. What has been polled must be delivered, as
 * there are files that tell each change once, /proc/mounts among them. So a
 * fault has to be known of before: a byte is exchanged for itself, once for
 * each page; @tried is the one that was tried last. Probe without faulting the
 * page in: no event may end up here.
 * Return: at least 2, or 0: deliver one by one.
 */
static noinline int epoll_batch_room(struct epoll_event __user *uevents, int maxevents,
				     u8 __user **tried)
{
	unsigned int offset = offset_in_page(uevents);
	u8 __user *page = (u8 __user *)uevents - offset;
	int room = min(maxevents, EPOLL_BATCH);
	u8 byte = 0;

	if (unlikely(offset > PAGE_SIZE - EPOLL_BATCH * sizeof(*uevents)))
		room = min_t(int, room, (PAGE_SIZE - offset) / sizeof(*uevents));
	if (room < 2)
		return 0;
	if (*tried == page)
		return room;
	pagefault_disable();
	__uaccess_begin();
	/* Asks for the right to write, whatever the byte is, and leaves it as it is. */
	unsafe_try_cmpxchg_user((u8 __user *)uevents, &byte, byte, efault);
	__uaccess_end();
	pagefault_enable();
	*tried = page;
	return room;

efault:
	__uaccess_end();
	pagefault_enable();
	return 0;
}

/* Return: for what an item that was on the ready list is ready, 0 if for nothing. */
static __always_inline __poll_t epoll_batch_poll(struct eventpoll *ep, struct epitem *epi,
						 poll_table *pt)
{
	struct wakeup_source *ws = ep_wakeup_source(epi);

	/* ep's first, or the system could go to sleep between the two. */
	if (ws) {
		if (ws->active)
			__pm_stay_awake(ep->ws);
		__pm_relax(ws);
	}
	return ep_item_poll(epi, pt, 1);
}

/* What becomes of an item whose event was delivered. */
static __always_inline void epoll_batch_delivered(struct eventpoll *ep, struct epitem *epi)
{
	if (epi->event.events & EPOLLONESHOT) {
		list_del_init(&epi->rdllink);
		epi->event.events &= EP_PRIVATE_BITS;
	} else if (epi->event.events & EPOLLET) {
		list_del_init(&epi->rdllink);
	} else {
		/* Level-triggered: look at it again the next time. */
		list_move_tail(&epi->rdllink, &ep->rdllist);
		ep_pm_stay_awake(epi);
	}
}

/* One item by itself. Return: events delivered, or -EFAULT. */
static __always_inline int epoll_batch_single(struct eventpoll *ep, struct epitem *epi,
					      poll_table *pt, struct epoll_event __user *uevent)
{
	__poll_t revents = epoll_batch_poll(ep, epi, pt);

	if (!revents) {
		list_del_init(&epi->rdllink);
		return 0;
	}
	if (!uplift_put_uevent(revents, epi->event.data, uevent)) {
		ep_pm_stay_awake(epi);
		return -EFAULT;
	}
	epoll_batch_delivered(ep, epi);
	return 1;
}

/*
 * Poll items until a batch is full, or has to end.
 * Return: where the next event would go.
 */
static __always_inline struct epoll_event *
epoll_batch_collect(struct eventpoll *ep, struct list_head *ready, poll_table *pt,
		    struct epoll_event *batch, struct epoll_event *end)
{
	struct epitem *epi = list_first_entry(ready, struct epitem, rdllink), *next;
	struct epoll_event *event = batch;

	do {
		__poll_t revents = epoll_batch_poll(ep, epi, pt);

		next = list_next_entry(epi, rdllink);
		if (revents) {
			event->events = revents;
			event->data = epi->event.data;
			if (++event == end)
				break;
		} else if (event == batch) {
			list_del_init(&epi->rdllink);
		} else {
			/* Its turn comes when those before it are delivered. */
			ep_pm_stay_awake(epi);
			break;
		}
		epi = next;
	} while (&epi->rdllink != ready &&
		 (epi->ffd.file->f_op != &eventpoll_fops || event == batch));
	return event;
}

/* As ep_send_events_batch(), for a list with more than one item. */
static noinline int epoll_batch_many(struct eventpoll *ep, struct list_head *ready, poll_table *pt,
				     struct epoll_event __user *events, int maxevents)
{
	struct epoll_event batch[EPOLL_BATCH] __aligned(sizeof(u64)) EPOLL_UNINITIALIZED;
	u8 __user *tried = (u8 __user *)1;	/* no page */
	struct epitem *epi;
	int res = 0;

	while (res < maxevents && !list_empty(ready)) {
		int room = epoll_batch_room(events + res, maxevents - res, &tried);
		int n, done, i;

		if (unlikely(!room)) {
			epi = list_first_entry(ready, struct epitem, rdllink);
			n = epoll_batch_single(ep, epi, pt, events + res);
			if (n < 0)
				return res ?: n;
			res += n;
			continue;
		}
		n = epoll_batch_collect(ep, ready, pt, batch, batch + room) - batch;
		if (!n)
			continue;
		done = epoll_batch_put(batch, n, events + res);
		res += done;
		for (i = done; i; i--)
			epoll_batch_delivered(ep, list_first_entry(ready, struct epitem, rdllink));
		/* The page has gone since it was tried. */
		if (unlikely(done < n)) {
			list_for_each_entry(epi, ready, rdllink) {
				ep_pm_stay_awake(epi);
				if (++done == n)
					break;
			}
			return res ?: -EFAULT;
		}
	}
	return res;
}

/**
 * ep_send_events_batch - deliver what is ready, several events per scope
 * @ep: the epoll instance
 * @events: where to, checked by access_ok()
 * @maxevents: at most so many, at least one
 *
 * As the kernel's ep_send_events(), except that up to EPOLL_BATCH items are
 * polled before the first of them is delivered. User memory cannot be open
 * while a file's poll method runs, so the two have to be apart. Where it is not
 * sure that a batch can be delivered, there is none: see epoll_batch_room().
 *
 * Items stay on the private list until they are delivered. The kernel takes
 * them off before; the difference cannot be seen, as until ep_done_scan() events go to
 * another list, and whether an item is on one is asked only there or under
 * ep->mtx. So after a fault at an event, it and all after it are where they
 * have to be: ready, in order. For the same reason an item that is found not to
 * be ready ends a batch: it keeps its place until those before it are out. And
 * an epoll file only begins one, since polling it takes items off its list.
 *
 * Context: process context; takes ep->mtx, may fault and sleep.
 * Return: the number of events, -EFAULT if the first faulted, -EINTR if the
 * task is being killed.
 */
static __always_inline int ep_send_events_batch(struct eventpoll *ep,
						struct epoll_event __user *events, int maxevents)
{
	LIST_HEAD(ready);
	poll_table pt;
	int res;

	if (fatal_signal_pending(current))
		return -EINTR;

	init_poll_funcptr(&pt, NULL);
	mutex_lock(&ep->mtx);
	ep_start_scan(ep, &ready);
	if (list_is_singular(&ready))
		res = epoll_batch_single(ep, list_first_entry(&ready, struct epitem, rdllink), &pt,
					 events);
	else
		res = epoll_batch_many(ep, &ready, &pt, events, maxevents);
	ep_done_scan(ep, &ready);
	mutex_unlock(&ep->mtx);
	return res;
}

#endif /* _UPLIFT_EPOLL_BATCH_H */
