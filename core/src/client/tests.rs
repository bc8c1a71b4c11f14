//! The client against a scripted broker: frames in, frames out.

mod admin;
mod connecting;
mod consuming;
mod fake;
mod producing;
mod world;
