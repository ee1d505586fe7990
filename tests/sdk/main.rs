//! Level: Microsoft's own device SDKs, Python and Node, against a real emulator on port 8883. What they send must
//! arrive byte for byte, and what Azure refuses must fail in them the way it fails with Azure (ref §1.10, §14).

// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here is a test that fails")]

mod install;
mod script;
mod cases;
#[allow(dead_code, reason = "shared with the pipeline tests")]
#[path = "../pipeline/certificate_maker.rs"]
mod certificate_maker;
mod certificates;

macro_rules! with_both {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod python {
            $(#[test] fn $case() { super::$module::$case(super::script::Sdk::Python); })*
        }
        mod node {
            $(#[test] fn $case() { super::$module::$case(super::script::Sdk::Node); })*
        }
    };
}

with_both![
    cases::sends_a_hundred_messages,
    cases::registers_and_sends,
    cases::registers_with_an_upper_case_id,
    cases::registration_with_a_wrong_key_fails,
    cases::connecting_with_a_wrong_key_fails,
    cases::connecting_with_an_expired_token_fails,
    cases::connecting_as_an_unknown_device_fails,
    cases::connecting_as_a_disabled_device_fails,
    cases::connecting_to_an_unknown_hub_fails,
    cases::comes_back_after_a_lost_connection,
    cases::loses_its_connection_to_a_second_one,
    certificates::connects_with_a_self_signed_certificate,
    certificates::connects_with_a_certificate_of_a_verified_ca,
    certificates::connecting_with_another_thumbprint_fails,
    certificates::connecting_with_a_certificate_of_an_unverified_ca_fails,
    certificates::registers_with_its_own_certificate,
    certificates::registers_by_a_root,
    certificates::registers_by_an_intermediate,
    certificates::registering_by_an_unverified_ca_fails,
    certificates::registering_with_another_name_fails,
    certificates::registering_while_disabled_fails,
];
