//! The client against a scripted broker: frames in, frames out.

mod admin;
mod administering;
mod connecting;
mod consuming;
mod fake;
mod producing;
mod world;
