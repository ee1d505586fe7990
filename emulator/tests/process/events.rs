//! The `events` command.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::running::{Running, eventually, failure, program};

fn events(running: &Running, arguments: &[&str]) -> Command {
    let mut command = program();
    command.arg("events").args(["--server", &format!("http://{}/", running.web)]).args(arguments);
    command
}

fn output(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn messages_are_shown_a_line_each() {
    let running = Running::start();
    assert!(output(&mut events(&running, &[])).is_empty());
    running.device("dev1").publish("dev1", "%24.mid=m&k=v%20w&n", "{\"a\": 1.0}");
    running.device("dev2").publish("dev2", "", "two\nlines");
    let table = output(&mut events(&running, &[]));
    assert_eq!(table.len(), 2);
    let columns: Vec<_> = table[0].split("  ").filter(|column| !column.is_empty()).map(str::trim).collect();
    assert!(columns[0].ends_with('Z') && columns[0].starts_with("20"), "{columns:?}");
    assert_eq!(columns[1..], ["dev1", "k=v w&n", "{\"a\": 1.0}"]);
    assert!(table[1].ends_with("dev2                  -                     two lines"), "{table:?}");
    let json = output(&mut events(&running, &["-o", "json", "--device", "dev1"]));
    assert!(json.len() == 1 && json[0].ends_with(r#""body":{"a": 1.0}}"#), "{json:?}");
    assert_eq!(output(&mut events(&running, &["--limit", "1", "-o", "json"])).len(), 1);
}

#[test]
fn followers_see_what_arrives() {
    let mut running = Running::start();
    let mut dev1 = running.device("dev1");
    dev1.publish("dev1", "", "1");
    let mut command = events(&running, &["--follow", "--device", "dev1", "-o", "json"]);
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().ends_with("\"body\":1}"));
    running.device("dev2").publish("dev2", "", "0");
    for body in ["2", "3", "4"] {
        dev1.publish("dev1", "", body);
        assert!(next().ends_with(&format!("\"body\":{body}}}")));
    }
    running.terminate();
    follower.wait().unwrap();
}

#[test]
fn missing_emulator_differs_from_a_wrong_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = failure(program().args(["events", "--server", &format!("http://{free}")]));
    assert!(
        text.contains(&format!("no emulator answers at http://{free}"))
            && text.contains("lanyard-emulator serve"),
        "{text}"
    );
    for server in ["nonsense", "https://127.0.0.1:8880", "http://", "", "127.0.0.1:8880", "http://h:1/x"] {
        let text = failure(program().args(["events", "--server", server]));
        assert!(text.contains("is not an emulator's address: write it like http://127.0.0.1:8880"), "{text}");
    }
    let running = Running::start();
    let text = failure(program().args(["events", "--server", &format!("http://{}", running.mqtt)]));
    assert!(text.contains("is not an emulator") && text.contains("--server"), "{text}");
}

#[test]
fn empty_result_is_explained() {
    let running = Running::start();
    for (arguments, expected) in [
        (vec![], "no message has arrived yet: add --follow"),
        (vec!["--device", "absent"], "no message of \"absent\" has arrived: look at its spelling"),
        (vec!["--limit", "0"], "--limit 0 shows none of the messages that arrived: add --follow"),
    ] {
        let output = events(&running, &arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && output.stdout.is_empty() && said.contains(expected), "{said}");
    }
}

/// `events --follow | head` ends with `head`.
#[test]
fn closed_pipe_ends_the_command() {
    let running = Running::start();
    let mut dev1 = running.device("dev1");
    dev1.publish("dev1", "", "1");
    let mut follower = events(&running, &["--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(follower.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    // Again and again: a program that another test is just starting has the pipe open, too, for a moment.
    let ended = eventually("the follower ends", || {
        dev1.publish("dev1", "", "2");
        follower.try_wait().unwrap()
    });
    assert!(ended.success());
}

#[test]
fn a_wrong_command_line_ends_with_2_and_the_fix() {
    for (arguments, expected) in [
        (["events", "-o", "nonsense"], "[possible values: table, json]"),
        (["events", "--limit", "-3"], "invalid value '-3' for '--limit <N>'"),
        (["events", "--log-level", "loud"], "use error, warn, info, debug or trace"),
        (["serve", "--web", "127.0.0.1"], "use an IP address and a port, such as"),
        (["serve", "--host", "a b"], "is not a host name"),
        (["serve", "--host", "a:1"], "a certificate has names without a port"),
    ] {
        let output = program().args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
    }
}
