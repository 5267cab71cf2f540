/*-------------------------------------------------------------------------
 *
 * launcher.h
 *	  The one background process that pg_steward always has.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_LAUNCHER_H
#define STEWARD_LAUNCHER_H

/*
 * Something that is to be done again and again.  The descriptor is a static
 * constant of the subject.
 */
typedef struct StewardLauncherTask
{
	const char *name;			/* for messages */

	/*
	 * Do what is due and return after how many milliseconds to call again.
	 * Called earlier, too: whenever the launcher wakes up.  There is no
	 * transaction and no database; the current memory context is reset after
	 * the call.  It must not wait for anything: others are behind it.
	 */
	long		(*run) (void);
} StewardLauncherTask;

extern void steward_launcher_register(const StewardLauncherTask *task);
extern void steward_launcher_init(void);
extern void steward_launcher_wake(void);
extern bool steward_launcher_read_catalogs(void (*read) (void *arg), void *arg);
extern int	steward_launcher_pid(void);

#endif							/* STEWARD_LAUNCHER_H */
