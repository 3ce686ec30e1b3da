//! Models of the client that are explored exhaustively, to a depth.

#![cfg(test)]

mod renewal;
mod step_up;
