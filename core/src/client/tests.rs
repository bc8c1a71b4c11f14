//! The client against a scripted broker: frames in, frames out.

mod admin;
mod administering;
mod connecting;
mod consuming;
mod fake;
mod grouping;
mod party;
mod producing;
mod world;
