/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Delivering events in batches: beyond upstream.
 *
 * Included by a generated file, behind what it uses: the target kernel's own
 * struct eventpoll and struct epitem, ep_start_scan(), ep_done_scan(),
 * ep_item_poll(), ep_wakeup_source() and ep_pm_stay_awake().
 */
#ifndef _UPLIFT_EPOLL_BATCH_H
#define _UPLIFT_EPOLL_BATCH_H

#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/pm_wakeup.h>
#include <linux/sched/signal.h>

#include "epoll_put.h"

/* Events per scope: twice what is asked for, at 256 bytes of stack. */
#define EPOLL_BATCH	16

struct epoll_batched {
	struct epitem *epi;
	__poll_t revents;
};

/* One scope for all. Return: how many were delivered before a fault. */
static __always_inline int epoll_batch_put(const struct epoll_batched *batch, int n,
					   struct epoll_event __user *uevent)
{
	const struct epoll_batched *item = batch;

	__uaccess_begin();
	do {
		unsafe_put_user((__force __u32)item->revents, (__u32 __user *)&uevent->events,
				efault);
		unsafe_put_user(item->epi->event.data, &uevent->data, efault);
		uevent++;
	} while (++item < batch + n);
	__uaccess_end();
	return n;

efault:
	__uaccess_end();
	return item - batch;
}

/* Take an item off the ready list. Return: whether it is ready. */
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
	list_del_init(&epi->rdllink);
	return ep_item_poll(epi, pt, 1);
}

/* What becomes of an item whose event was delivered. */
static __always_inline void epoll_batch_delivered(struct eventpoll *ep, struct epitem *epi)
{
	if (epi->event.events & EPOLLONESHOT) {
		epi->event.events &= EP_PRIVATE_BITS;
	} else if (!(epi->event.events & EPOLLET)) {
		/* Level-triggered: look at it again the next time. */
		list_add_tail(&epi->rdllink, &ep->rdllist);
		ep_pm_stay_awake(epi);
	}
}

/**
 * ep_send_events_batch - deliver what is ready, several events per scope
 * @ep: the epoll instance
 * @events: where to, checked by access_ok()
 * @maxevents: at most so many, at least one
 *
 * As the kernel's ep_send_events(), except that up to EPOLL_BATCH items are
 * polled before the first of them is delivered. User memory cannot be open
 * while a file's poll method runs, so the two have to be apart.
 *
 * After a fault at an event, those before it are delivered, and it and all
 * after it stay ready, in order. An item after it that was found not to be
 * ready is off the list already; the kernel would find out the next time.
 *
 * Context: process context; takes ep->mtx, may fault and sleep.
 * Return: the number of events, -EFAULT if the first faulted, -EINTR if the
 * task is being killed.
 */
static int ep_send_events_batch(struct eventpoll *ep, struct epoll_event __user *events,
				int maxevents)
{
	struct epoll_batched batch[EPOLL_BATCH];
	LIST_HEAD(ready);
	poll_table pt;
	int res = 0;

	if (fatal_signal_pending(current))
		return -EINTR;

	init_poll_funcptr(&pt, NULL);
	mutex_lock(&ep->mtx);
	ep_start_scan(ep, &ready);

	while (res < maxevents && !list_empty(&ready)) {
		int room = min(maxevents - res, EPOLL_BATCH);
		struct epoll_batched *item = batch;
		int n, done, i;

		do {
			item->epi = list_first_entry(&ready, struct epitem, rdllink);
			item->revents = epoll_batch_poll(ep, item->epi, &pt);
			if (item->revents)
				item++;
		} while (item < batch + room && !list_empty(&ready));

		n = item - batch;
		if (!n)
			break;
		done = epoll_batch_put(batch, n, events + res);
		for (i = 0; i < done; i++)
			epoll_batch_delivered(ep, batch[i].epi);
		res += done;
		if (unlikely(done < n)) {
			for (i = n - 1; i >= done; i--) {
				list_add(&batch[i].epi->rdllink, &ready);
				ep_pm_stay_awake(batch[i].epi);
			}
			if (!res)
				res = -EFAULT;
			break;
		}
	}

	ep_done_scan(ep, &ready);
	mutex_unlock(&ep->mtx);
	return res;
}

#endif /* _UPLIFT_EPOLL_BATCH_H */
