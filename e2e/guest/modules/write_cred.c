// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does to a task what exploits do, for tests of credential_drift: writes to its credentials, or swaps the pointers to
 * them, past commit_creds(). Writes once while it is loaded and does not stay.
 *
 *   insmod write_cred.ko pid=123 how=ids
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/string.h>

static int pid;
module_param(pid, int, 0);
static char *how = "ids";
module_param(how, charp, 0);

static void write_ids(struct cred *cred)
{
	cred->uid = cred->euid = cred->suid = cred->fsuid = GLOBAL_ROOT_UID;
}

static void write_caps(struct cred *cred)
{
	memset(&cred->cap_effective, 0xff, 4);
	memset(&cred->cap_permitted, 0xff, 4);
}

/* The caller's, root's, with a second reference that is never given back. */
static int swap_cred(struct task_struct *task)
{
	struct cred *cred = prepare_creds();

	if (!cred)
		return -ENOMEM;
	get_cred(cred);
	rcu_assign_pointer(task->real_cred, cred);
	rcu_assign_pointer(task->cred, cred);
	return 0;
}

static int change(struct task_struct *task)
{
	struct cred *cred = (struct cred *)rcu_access_pointer(task->real_cred);

	if (!strcmp(how, "swap"))
		return swap_cred(task);
	if (!strcmp(how, "caps"))
		write_caps(cred);
	else
		write_ids(cred);
	return 0;
}

static int __init write_cred(void)
{
	struct pid *found = find_get_pid(pid);
	struct task_struct *task = get_pid_task(found, PIDTYPE_PID);
	int error = -ESRCH;

	put_pid(found);
	if (task) {
		error = change(task);
		put_task_struct(task);
	}
	return error ?: -ECANCELED;
}
module_init(write_cred);
MODULE_LICENSE("GPL");
