// Package load sends scrapes as collectors of the older zstats do, and knows what it has sent: it keeps what a 503 or a lost
// connection leaves and sends it again oldest first, sends full blobs when it is asked to, begins new runs, and on purpose
// repeats requests and gives up answers. Everything goes into a checker's book, by which the outcome is judged.
package load
