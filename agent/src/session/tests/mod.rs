//! Life cycle of a connection over a scripted transport, under paused time. The times are virtual and exact.

mod script;
mod rig;
mod streaming;
mod reconnect;
mod rollover;
mod validity;
mod renewal;
mod stopping;
mod registering;
