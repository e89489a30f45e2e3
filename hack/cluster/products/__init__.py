"""What is built once and kept in the cache: binaries, images, and the tools that build them."""
