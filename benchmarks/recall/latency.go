package main

import "context"

func latencies(context.Context, *settings, []conversation) error { return nil }
func tokens(context.Context, *settings, []conversation) error    { return nil }
