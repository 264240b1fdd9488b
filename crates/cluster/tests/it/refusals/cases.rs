//! The cases of `golden/refusals.txt`: how each scenario is broken, and what is said of it.
//!
//! The command line reads them too: there the same words must come out.

/// The scenario that the cases break.
pub(crate) const SOUND: &str = include_str!("../../golden/sound.yaml");

const CASES: &str = include_str!("../../golden/refusals.txt");

/// One broken scenario.
pub(crate) struct Case {
    /// Its heading and its edits, as they stand in the file.
    pub(crate) head: String,
    /// The broken scenario.
    pub(crate) text: String,
    /// What is said of it.
    pub(crate) told: String,
}

/// What the file says before the first case, and the cases.
pub(crate) fn read() -> (&'static str, Vec<Case>) {
    let (about, cases) = CASES.split_once("\n# ").expect("the file has cases");
    (about, cases.split("\n\n# ").map(case).collect())
}

fn case(section: &str) -> Case {
    let mut lines = section.trim_end().lines().peekable();
    let mut head = format!("# {}\n", lines.next().unwrap_or_default());
    let mut text = SOUND.to_owned();
    loop {
        let mut taken = |sign| {
            let mut block = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with(sign)) {
                head += &format!("{line}\n");
                block += &format!("{}\n", &line[1..]);
            }
            block
        };
        let (from, to) = (taken('-'), taken('+'));
        match (from.is_empty(), to.is_empty()) {
            (true, true) => break,
            (true, false) => text = to,
            (false, _) => text = replaced(&text, &from, &to, &head),
        }
    }
    let told: Vec<&str> = lines.collect();
    Case {
        head,
        text,
        told: told.join("\n"),
    }
}

/// `text` with `to` for the first lines that are `from`.
fn replaced(text: &str, from: &str, to: &str, head: &str) -> String {
    let text = format!("\n{text}");
    let from = format!("\n{from}");
    assert!(text.contains(&from), "not in the sound scenario:\n{head}");
    text.replacen(&from, &format!("\n{to}"), 1)[1..].to_owned()
}
