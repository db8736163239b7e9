/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which file a process runs. A process and those that it has forked and that have executed nothing since share an image,
 * which counts its users: a fork copies nothing. The slot of a process has the id of its image. Slots and counts are arrays,
 * since a hash costs some hundred instructions each time.
 */
#ifndef TRIGON_IMAGE_H
#define TRIGON_IMAGE_H

#include "core.h"
#include "maps.h"

/* Places of a slot: the first by the pid's low bits, the others away from those of the pids before and after it. */
#define TRIES 16
#define STEP 4099
#define PLACE(start, attempt) (((start) + (attempt) * STEP) & (IMAGE_SLOTS - 1))

#define READ_AGAIN(place) (*(const volatile typeof(place) *)&(place))
#define IN_ORDER() asm volatile("" ::: "memory")

/*
 * Whoever adds to a count of 0 and finds just that has what is counted: two at once may both find 2, and each goes on to the
 * next place. (A read after an addition, because 5.10 has no compare and exchange.)
 */
static __always_inline bool claim(__u32 *count)
{
	if (READ_AGAIN(*count))
		return false;
	__sync_fetch_and_add(count, 1);
	if (READ_AGAIN(*count) == 1)
		return true;
	__sync_fetch_and_add(count, -1);
	return false;
}

/* OPAQUE: to the verifier, that a slot was found is in the pointer alone. */
static __always_inline struct image_slot *find_slot(__u32 pid)
{
	struct image_slot *found = NULL;
	__u32 i;

	NOT_UNROLLED
	for (i = 0; i < TRIES; i++) {
		struct image_slot *slot = &image_slots[PLACE(pid, i)];

		if (slot->pid == pid) {
			found = slot;
			break;
		}
	}
	OPAQUE(found);
	return found;
}

static __always_inline struct process_image *image_of_slot(struct image_slot *slot)
{
	__u64 id = READ_AGAIN(slot->image);
	struct process_image *image = bpf_map_lookup_elem(&process_images, &id);

	if (image)
		return image;
	id = READ_AGAIN(slot->image); /* another one if the process has executed a file meanwhile */
	return bpf_map_lookup_elem(&process_images, &id);
}

/* NULL for a kernel thread, and for a process that found no room. */
static __always_inline struct process_image *find_image(__u32 pid)
{
	struct image_slot *slot = find_slot(pid);

	return slot ? image_of_slot(slot) : NULL;
}

static __always_inline struct asked_names *find_asked_names(const struct process_image *image)
{
	__u64 id = image->id;

	return id & IMAGE_ASKED ? bpf_map_lookup_elem(&asked_names, &id) : NULL;
}

/* The count of an image's users, and 1 as long as the image is stored. */
static __always_inline __u32 *users_of(__u64 image)
{
	return &image_users[image & (IMAGE_SLOTS - 1)];
}

/* Bits of an id: the place of the image's count, which it has alone, IMAGE_ASKED, and the time, so that no other had it. */
static __always_inline __u64 new_image_id(__u32 pid, __u64 now_ns)
{
	__u32 i;

	NOT_UNROLLED
	for (i = 0; i < TRIES; i++) {
		__u32 place = PLACE(pid, i);

		if (claim(&image_users[place]))
			return now_ns << (IMAGE_BITS + 1) | place;
	}
	return 0;
}

/* Of those that find at the same time that nobody uses the image, the one that removes it gives its count away. */
static __always_inline void remove_image(__u64 id)
{
	if (id & IMAGE_ASKED)
		bpf_map_delete_elem(&asked_names, &id);
	if (!bpf_map_delete_elem(&process_images, &id))
		__sync_fetch_and_add(users_of(id), -1);
}

/*
 * Stores the image, with one user, under a new id. The other paths, NULL if there are none, come first: without them an
 * image that has some matches nothing. False if there is no room.
 */
static __always_inline bool store_image(struct process_image *image, const struct asked_names *asked, __u64 now_ns)
{
	__u64 id = new_image_id(image->pid, now_ns);

	if (!id)
		return false;
	if (asked)
		id |= IMAGE_ASKED;
	image->id = id;
	if (asked && bpf_map_update_elem(&asked_names, &id, asked, BPF_ANY))
		goto failed;
	if (bpf_map_update_elem(&process_images, &id, image, BPF_ANY)) {
		if (asked)
			bpf_map_delete_elem(&asked_names, &id);
		goto failed;
	}
	__sync_fetch_and_add(users_of(id), 1);
	return true;
failed:
	__sync_fetch_and_add(users_of(id), -1);
	return false;
}

static __always_inline void release_image(__u64 id)
{
	__u32 *users = users_of(id);

	__sync_fetch_and_add(users, -1);
	if (READ_AGAIN(*users) == 1)
		remove_image(id);
}

/* A slot for a process that has none; only its owner writes `pid` and `image`. NULL if there is no room. */
static __always_inline struct image_slot *claim_slot(__u32 pid)
{
	struct image_slot *found = NULL;
	__u32 i;

	NOT_UNROLLED
	for (i = 0; i < TRIES; i++) {
		struct image_slot *slot = &image_slots[PLACE(pid, i)];

		if (slot->pid == pid) { /* of an earlier process, whose exit was missed */
			release_image(slot->image);
			found = slot;
			break;
		}
		if (claim(&slot->claims)) {
			found = slot;
			break;
		}
	}
	OPAQUE(found);
	return found;
}

/* Others may look for the pid as soon as it is there. */
static __always_inline void fill_slot(struct image_slot *slot, __u32 pid, __u64 image)
{
	slot->image = image;
	IN_ORDER();
	slot->pid = pid;
}

static __always_inline void free_slot(struct image_slot *slot)
{
	__u64 image = slot->image;

	slot->pid = 0;
	IN_ORDER();
	release_image(image);
	__sync_fetch_and_add(&slot->claims, -1);
}

/* The process runs this image from now on. False if there is no room for it: then what it runs is not known. */
static __always_inline bool change_image(struct image_slot *slot, struct process_image *image,
					 const struct asked_names *asked, __u64 now_ns)
{
	__u64 before;

	if (!store_image(image, asked, now_ns)) {
		if (slot)
			free_slot(slot);
		return false;
	}
	if (slot) {
		before = slot->image;
		slot->image = image->id;
		release_image(before);
		return true;
	}
	slot = claim_slot(image->pid);
	if (slot)
		fill_slot(slot, image->pid, image->id);
	else
		release_image(image->id);
	return slot;
}

/* The child runs what its creator runs. False if there is no room. */
static __always_inline bool share_image(__u32 creator, __u32 child)
{
	struct image_slot *slot = find_slot(creator), *own;

	if (!slot)
		return true;
	own = claim_slot(child);
	if (!own)
		return false;
	__sync_fetch_and_add(users_of(slot->image), 1);
	fill_slot(own, child, slot->image);
	return true;
}

#endif
