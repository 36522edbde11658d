// Calls calls the function that the database of the test says is vulnerable.
package main

import "net/url"

func main() {
	_, _ = url.Parse("")
}
