//! Placeholder of the history and its checkers.
