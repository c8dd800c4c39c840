//! Builds programs in C with libmemento, and runs them where each mistake with memory ends them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::{Scratch, root, run_to_end};

/// How a program is linked, and what watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// With libmemento.a, under valgrind.
    Static,
    /// With libmemento.so, under valgrind.
    Dynamic,
    /// With libmemento.a, the compiler's sanitizers around its own code and the allocator.
    Sanitized,
    /// With libmemento.a, and nothing watches: for what is said about memory itself.
    Plain,
}

/// A program that was built.
pub struct Program {
    path: PathBuf,
    how: How,
}

/// The folder of the library, which is built where it is not as new as its source.
pub fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Run from within make test, the inner make must not take the outer one's flags for its own.
        let output = Command::new("make")
            .args(["--no-print-directory", "ffi"])
            .env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .env_remove("MAKELEVEL")
            .current_dir(root())
            .stdin(Stdio::null())
            .output()
            .expect("to run make");
        assert!(output.status.success(), "make ffi: {}", String::from_utf8_lossy(&output.stderr));
        root().join("bin/ffi")
    })
}

impl Program {
    /// A program of ffi/examples/.
    pub fn example(folder: &Scratch, name: &str, how: How) -> Program {
        Program::build(folder, "cc", &["-std=c99"], &root().join(format!("ffi/examples/{name}.c")), how)
    }

    /// A program of ffi/tests/.
    pub fn test(folder: &Scratch, name: &str, how: How) -> Program {
        Program::build(folder, "cc", &["-std=c99"], &root().join(format!("ffi/tests/{name}.c")), how)
    }

    /// A program of ffi/tests/ in C++.
    pub fn plus_plus(folder: &Scratch, name: &str, how: How) -> Program {
        Program::build(folder, "c++", &["-std=c++17"], &root().join(format!("ffi/tests/{name}.cpp")), how)
    }

    /// A program of any source in C.
    pub fn build(folder: &Scratch, compiler: &str, options: &[&str], source: &Path, how: How) -> Program {
        let name = source.file_stem().expect("a name").to_str().expect("a plain name");
        let path = folder.path(&format!("{name}-{how:?}"));
        let mut command = Command::new(compiler);
        command.args(options).args(["-Wall", "-Wextra", "-Werror", "-g", "-O1"]);
        command.arg("-I").arg(library()).arg(source).arg("-o").arg(&path);
        match how {
            How::Static | How::Plain => command.arg(library().join("libmemento.a")),
            How::Dynamic => command.arg("-L").arg(library()).arg("-lmemento"),
            How::Sanitized => command
                .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
                .arg(library().join("libmemento.a")),
        };
        let output = command.arg("-lpthread").output().expect("to run the compiler");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Program { path, how }
    }

    /// The command that runs it; each mistake with memory, and each leak, makes it end with 9 and words.
    pub fn command(&self) -> Command {
        let mut command = match self.how {
            How::Sanitized | How::Plain => Command::new(&self.path),
            _ => {
                let mut command = Command::new("valgrind");
                let options = [
                    "--quiet",
                    "--error-exitcode=9",
                    "--leak-check=full",
                    "--show-leak-kinds=all",
                    "--errors-for-leak-kinds=all",
                ];
                command.args(options).arg(&self.path);
                command
            }
        };
        command.env("LD_LIBRARY_PATH", library()).env("ASAN_OPTIONS", "exitcode=9:detect_leaks=1");
        command
    }

    /// Runs it: exit code, standard output, standard error.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run_to_end(self.command().args(arguments))
    }

    /// Runs it to its good end; gives its standard output.
    #[track_caller]
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let (status, said, told) = self.run(arguments);
        assert!(status == Some(0) && told.is_empty(), "{:?} {arguments:?}: {status:?}\n{said}{told}", self.path);
        said
    }
}
