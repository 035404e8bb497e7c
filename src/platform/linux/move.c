#include "platform/move.h"

#include <fcntl.h>

ssize_t
move_bytes(int pipe, int file, size_t len)
{
	return splice(pipe, NULL, file, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}
