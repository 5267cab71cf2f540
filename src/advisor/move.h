/*-------------------------------------------------------------------------
 *
 * move.h
 *	  Changes of the set of chosen indexes, and their value.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_MOVE_H
#define STEWARD_MOVE_H

#include "advisor/advice.h"

/* Members that a move adds or removes, at most. */
#define STEWARD_MAX_MOVE 6

/* A change of the set. */
typedef struct StewardMove
{
	int			nadd;
	int			ndrop;
	int			add[STEWARD_MAX_MOVE];
	int			drop[STEWARD_MAX_MOVE];
	double		gain;			/* ms a day, net of writes */
	double		write_ms;		/* added, ms a day */
	double		bytes;			/* added */
	double		before_ms;		/* of the statements concerned, a day */
} StewardMove;

/* The state of a search, and room to value moves. */
typedef struct StewardSearch
{
	StewardAdvice *advice;
	double		least;			/* ms a day that an index has to gain */
	double		size_power;		/* of bytes, by which moves are ranked */
	double		table_bytes;	/* of all tables with candidates */

	/* statements that a move concerns, while it is valued */
	int			ntouched;
	int		   *touched;		/* whatif numbers */
	bool	   *is_touched;
	uint64	   *visible;		/* by whatif number, after the move */
	int		   *compared;		/* whatif numbers */
	double	   *compared_ms;
	double		bytes;			/* of what is chosen */
	int			nsynergies;
	StewardMove *synergies;		/* sets that help only together: add[] */

	/* values of moves stay valid until a move concerns one of their members */
	int			now;			/* moves made so far */
	int		   *concerned;		/* by candidate: number of the latest such move */
	StewardMove *one;			/* by candidate: the move that adds it */
	int		   *one_at;			/* by candidate: when that was valued; -1: never */
	StewardMove *together;		/* by synergy, likewise */
	int		   *together_at;
} StewardSearch;

extern void steward_whatif_see_chosen(StewardAdvice *advice,
									  StewardWhatif *whatif);
extern StewardSearch *steward_search_create(StewardAdvice *advice);
extern void steward_move_value(StewardSearch *search, StewardMove *move);
extern bool steward_move_fits(StewardSearch *search, const StewardMove *move);
extern void steward_move_apply(StewardSearch *search, StewardMove *move);
extern void steward_move_begin(StewardSearch *search, const StewardMove *move);
extern void steward_move_end(StewardSearch *search);
extern bool steward_candidate_covers(StewardAdvice *advice, int wide,
									 int narrow);


/* choose_order.c */
extern double steward_choose_loss(StewardSearch *search, int candidate);
extern bool steward_choose_pays(StewardSearch *search, int candidate);
extern void steward_choose_drop(StewardSearch *search, int candidate);

/* worth.c */
extern double steward_time_to_share(const StewardAdvice *advice);
extern bool steward_move_may_pay(StewardSearch *search, const StewardMove *move);
extern bool steward_move_pays(StewardSearch *search, const StewardMove *move);
extern bool steward_move_include_pays(StewardSearch *search,
									  const StewardMove *move);
extern bool steward_candidate_completes(StewardAdvice *advice, int candidate,
										int member);
extern bool steward_move_completes(StewardSearch *search,
								   const StewardMove *move);

/* synergy.c */
extern void steward_search_remember(StewardSearch *search, const bool *wanted);
extern bool steward_synergy_changed(StewardSearch *search, int i);
extern void steward_synergy_complete(StewardSearch *search,
									 const StewardMove *synergy,
									 StewardMove *move);

#endif							/* STEWARD_MOVE_H */
