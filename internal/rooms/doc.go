// Package rooms has no code: its tests hold the house's import rules.
package rooms
