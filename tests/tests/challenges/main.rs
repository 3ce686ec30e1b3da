//! Our parser of `WWW-Authenticate` against other readings of its grammar: a strict parser, and the rules themselves.

#![cfg(test)]

mod differential;
mod grammar;
