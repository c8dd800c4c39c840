//! The README's words about C are a program.

use std::fs;

use crate::building::{How, Program};
use crate::ready;
use crate::support::{Scratch, Server, root};

#[test]
fn the_readme_s_lines_compile_as_printed() {
    if !ready() {
        return;
    }
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let section = readme.split("\n## From C\n").nth(1).expect("a section").split("\n## ").next().expect("its text");
    let code = section.split("```c\n").nth(1).expect("a program").split("```").next().expect("its end");
    assert_eq!(code.lines().count(), 15, "{code}");
    let folder = Scratch::new();
    let source = folder.path("readme.c");
    fs::write(&source, code).expect("to write the program");
    let server = Server::start(&[]);
    for (how, visits) in [(How::Static, 1), (How::Dynamic, 2), (How::Sanitized, 3)] {
        let program = Program::build(&folder, "cc", &["-std=c99"], &source, how);
        assert_eq!(program.succeeds(&[&server.port().to_string()]), format!("visit {visits}\n"));
    }
}
