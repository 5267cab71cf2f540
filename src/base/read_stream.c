/*-------------------------------------------------------------------------
 *
 * read_stream.c
 *	  The server's read stream, for servers before 17.
 *
 * From 17 on the server reads ahead by itself for whoever tells it in advance
 * which blocks it wants.  Before, PrefetchBuffer() asks the kernel for blocks
 * that will be read soon; here a window of them is kept ahead of the reader.
 * compat.h lends these functions the server's names.  A sequential stream
 * leaves reading ahead to the kernel.  Per-buffer data is not supported.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/read_stream.h"

#ifdef STEWARD_NEEDS_READ_STREAM

/* Blocks asked for ahead of the reader. */
#define WINDOW 32

struct StewardReadStream
{
	BufferAccessStrategy strategy;
	Relation	rel;
	ForkNumber	fork;
	StewardReadStreamCallback callback;
	void	   *private_data;
	bool		prefetch;
	bool		ended;			/* the callback has no more blocks */
	int			head;			/* oldest block in the window */
	int			count;			/* blocks in the window */
	BlockNumber window[WINDOW];
};

/* Start a stream, in the current memory context. */
StewardReadStream *
steward_read_stream_begin(int flags, BufferAccessStrategy strategy,
						  Relation rel, ForkNumber fork,
						  StewardReadStreamCallback callback,
						  void *private_data, size_t per_buffer_data_size)
{
	StewardReadStream *stream = palloc0(sizeof(StewardReadStream));

	Assert(per_buffer_data_size == 0);
	stream->strategy = strategy;
	stream->rel = rel;
	stream->fork = fork;
	stream->callback = callback;
	stream->private_data = private_data;
	stream->prefetch = (flags & READ_STREAM_SEQUENTIAL) == 0;
	return stream;
}

/* The next block's buffer, pinned; InvalidBuffer at the end. */
Buffer
steward_read_stream_next(StewardReadStream *stream, void **per_buffer_data)
{
	BlockNumber block;

	while (!stream->ended && stream->count < (stream->prefetch ? WINDOW : 1))
	{
		block = stream->callback(stream, stream->private_data, NULL);
		if (block == InvalidBlockNumber)
		{
			stream->ended = true;
			break;
		}
		if (stream->prefetch)
			(void) PrefetchBuffer(stream->rel, stream->fork, block);
		stream->window[(stream->head + stream->count) % WINDOW] = block;
		stream->count++;
	}
	if (stream->count == 0)
		return InvalidBuffer;

	block = stream->window[stream->head];
	stream->head = (stream->head + 1) % WINDOW;
	stream->count--;
	return ReadBufferExtended(stream->rel, stream->fork, block, RBM_NORMAL,
							  stream->strategy);
}

/* End a stream. */
void
steward_read_stream_end(StewardReadStream *stream)
{
	pfree(stream);
}

#endif							/* STEWARD_NEEDS_READ_STREAM */
