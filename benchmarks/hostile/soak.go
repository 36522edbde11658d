package main

func soak(b *bed, args []string) error { return nil }
