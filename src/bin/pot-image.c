/* pot-image: fetches, unpacks and packs images for pot and the runner. */
#include "image/verbs.h"

int
main(int argc, char **argv)
{
	return image_main(argc, argv);
}
