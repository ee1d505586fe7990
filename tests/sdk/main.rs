//! Level: Microsoft's own device SDKs, Python and Node, against a real emulator on port 8883. What they send must
//! arrive byte for byte, and what Azure refuses must fail in them the way it fails with Azure (ref §1.10, §14).

#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here is a test that fails")]

mod install;
mod script;
mod cases;

macro_rules! with_both {
    ($($case:ident),* $(,)?) => {
        mod python {
            $(#[test] fn $case() { super::cases::$case(super::script::Sdk::Python); })*
        }
        mod node {
            $(#[test] fn $case() { super::cases::$case(super::script::Sdk::Node); })*
        }
    };
}

with_both![
    sends_a_hundred_messages,
    registers_and_sends,
    registers_with_an_upper_case_id,
    registration_with_a_wrong_key_fails,
    connecting_with_a_wrong_key_fails,
    connecting_with_an_expired_token_fails,
    connecting_as_an_unknown_device_fails,
    connecting_as_a_disabled_device_fails,
    connecting_to_an_unknown_hub_fails,
    comes_back_after_a_lost_connection,
    loses_its_connection_to_a_second_one,
];
