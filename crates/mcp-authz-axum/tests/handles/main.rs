//! What lasts or comes back: sessions, events and open streams at the layer, in front of a service that has all three.

#![cfg(test)]

mod events;
mod server;
mod sessions;
mod streams;
