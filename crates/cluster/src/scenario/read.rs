//! From a file to a checked scenario.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Scenario, check::Finding, reference::struct_schema};
use crate::{
    files,
    workload::trace,
    yaml::{self, Document, Fault, Place, Refusals, Value},
};

/// The version of the format that this code reads.
const FORMAT: i128 = 1;

/// The organization that comes with karma, under the name by which the shipped scenarios call it:
/// what `karma init` prints works wherever it is put. A file of that name wins.
const BUILT_IN: (&str, &str) = (
    "organizations/karma.yaml",
    include_str!("../../../../scenarios/organizations/karma.yaml"),
);

/// A scenario and the files it was read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The scenario, checked and resolved.
    pub scenario: Scenario,
    /// Every file read, the scenario file first.
    pub inputs: Vec<PathBuf>,
    /// The organization file and its text, where the team has one.
    pub organization: Option<(PathBuf, String)>,
    /// What is likely not meant, though nothing forbids it.
    pub warnings: Vec<Fault>,
    /// Where every key stands.
    pub places: Places,
}

/// Where the keys of a scenario stand in the files that it was read from.
#[derive(Clone, Debug)]
pub struct Places {
    document: Document,
    files: Vec<PathBuf>,
}

impl Places {
    /// The file, and the line where one wrote the key at `path` or what it belongs to: 0 for a key
    /// that is left to its default.
    #[must_use]
    pub fn of(&self, path: &str) -> (&Path, u64) {
        let place = self.document.place(path);
        let line = if place == self.document.root.place {
            0
        } else {
            place.line
        };
        (&self.files[place.file], line)
    }
}

/// Reads the scenario file at `path` with all that it names, and checks it as a whole.
///
/// # Errors
/// [`Refusals`] with every fault. An error of syntax, a file that cannot be read or extended, and a
/// format of another version are told alone, since nothing after them can be trusted.
pub fn load(path: &Path) -> Result<Loaded, Refusals> {
    let text = files::read_text_once(path, files::MOST_TEXT).map_err(|error| {
        let fault = Fault::of_file(path, format!("cannot be read: {error}"));
        Refusals(vec![
            fault.hint("give the path of a scenario file; karma init prints one"),
        ])
    })?;
    parse(&text, path)
}

/// As [`load`], of a text that stands for the file at `path`; paths in it are relative to that
/// file's folder.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Refusals> {
    let schema = struct_schema();
    let schema = yaml::Schema::new(&schema);
    let mut sources = Sources::read(text, path, schema).map_err(|fault| Refusals(vec![fault]))?;
    let conformed = yaml::conform(&sources.document.root, schema, &sources.files);
    let mut faults = std::mem::take(&mut sources.faults);
    faults.extend(conformed.faults);
    let repaired = Document {
        root: conformed.root,
    };
    let mut scenario: Scenario = yaml::from_document(&repaired).map_err(|(path, message)| {
        // The schema and serde disagree: a fault of ours, still told at its place.
        Refusals(vec![sources.fault(&path, message)])
    })?;
    sources.make_paths_relative(&mut scenario);

    let mut findings = scenario.check();
    let organization = sources.read_organization(&scenario, &mut findings);
    let unlikely = sources.read_traces(&mut scenario, &mut findings);
    findings.extend(scenario.check_volume());
    let known = |finding: &Finding| {
        let about = |path: &String| !conformed.invented.iter().any(|i| touches(i, path));
        finding.about.iter().all(about)
    };
    for finding in findings.into_iter().filter(known) {
        let fault = sources.fault(&finding.about[0], finding.message);
        faults.push(fault.hint(finding.hint));
    }
    if !faults.is_empty() {
        return Err(Refusals::in_order(faults, &sources.files));
    }
    scenario.resolve_extends();
    let warnings = scenario.warnings().into_iter().chain(unlikely);
    let warnings = warnings
        .map(|finding| {
            let warning = sources.fault(&finding.about[0], finding.message);
            warning.hint(finding.hint)
        })
        .collect();
    Ok(Loaded {
        scenario,
        inputs: sources.files.clone(),
        organization,
        warnings,
        places: Places {
            document: sources.document,
            files: sources.files,
        },
    })
}

/// Whether an invented value at `invented` decides what stands at `path`.
fn touches(invented: &str, path: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
    };
    inside(invented, path) || inside(path, invented)
}

/// The files of a scenario, merged.
struct Sources {
    document: Document,
    /// Every file read, by number.
    files: Vec<PathBuf>,
    /// Folder of each YAML file, relative to the first one's.
    folders: Vec<PathBuf>,
    /// Repeated keys, and names missing where a file extends another.
    faults: Vec<Fault>,
}

impl Sources {
    /// Reads `text` and the chain of files that it extends.
    fn read(text: &str, path: &Path, schema: yaml::Schema<'_>) -> Result<Self, Fault> {
        const LONGEST_CHAIN: usize = 16;
        let mut sources = Self {
            document: Document::parse(text).map_err(|fault| fault.in_file(path))?,
            files: vec![path.to_owned()],
            folders: vec![PathBuf::new()],
            faults: Vec::new(),
        };
        sources.faults = sources.document.duplicate_keys(&sources.files);
        sources.check_start(&sources.document, 0)?;
        let mut extends = extended(&sources.document);
        if extends.is_some() && sources.document.root.get("name").is_none() {
            let fault = sources.fault("name", "this key is missing".to_owned());
            let hint = "a file that extends another needs its own name: run directories carry it";
            sources.faults.push(fault.hint(hint));
        }
        while let Some((named, place)) = extends {
            let number = sources.files.len();
            let above = number - 1;
            let blame =
                |message: String| Fault::at(&sources.files[above], place, "extends", message);
            let folder =
                sources.folders[above].join(Path::new(&named).parent().unwrap_or("".as_ref()));
            let file = sources.files[above]
                .parent()
                .unwrap_or("".as_ref())
                .join(&named);
            let text = files::read_text(&file, files::MOST_TEXT).map_err(|error| {
                blame(format!("{} cannot be read: {error}", file.display()))
                    .hint("the path is relative to this file")
            })?;
            let same = |other: &PathBuf| same_file(other, &file);
            if number > LONGEST_CHAIN || sources.files.iter().any(same) {
                let chain = sources
                    .files
                    .iter()
                    .chain([&file])
                    .map(|f| f.display().to_string());
                let chain = chain.collect::<Vec<_>>().join(" → ");
                return Err(
                    blame(format!("the files extend each other in a circle: {chain}"))
                        .hint("remove one of the extends keys"),
                );
            }
            let mut base = Document::parse(&text).map_err(|fault| fault.in_file(&file))?;
            base.set_file(number);
            sources.files.push(file);
            sources.folders.push(folder);
            sources.faults.extend(base.duplicate_keys(&sources.files));
            sources.check_start(&base, number)?;
            extends = extended(&base);
            let over = std::mem::replace(&mut sources.document.root, base.root.clone());
            sources.document.root = yaml::merge(base.root, over, schema);
        }
        Ok(sources)
    }

    /// What must hold before anything else is looked at: a mapping, of a format known here.
    fn check_start(&self, document: &Document, number: usize) -> Result<(), Fault> {
        let file = &self.files[number];
        match &document.root.value {
            Value::Map(_) => {}
            Value::Null => {
                let fault = Fault::of_file(file, "the file is empty");
                return Err(fault.hint("karma init prints a scenario to start from"));
            }
            _ => {
                let fault = Fault::at(file, document.root.place, "", "expected keys and values");
                return Err(fault.hint("karma init prints a scenario to start from"));
            }
        }
        match document
            .root
            .get("format")
            .map(|node| (&node.value, node.place))
        {
            Some((Value::Integer(version), place)) if *version != FORMAT => {
                let message = format!("format {version} is not known; this version reads {FORMAT}");
                let newer = if *version > FORMAT {
                    "use a newer version of karma"
                } else {
                    ""
                };
                Err(Fault::at(file, place, "format", message).hint(newer))
            }
            _ => Ok(()),
        }
    }

    /// A fault of the key at `path`, wherever that was read from.
    fn fault(&self, path: &str, message: String) -> Fault {
        let place: Place = self.document.place(path);
        Fault::at(&self.files[place.file], place, path, message)
    }

    /// Lets the paths in the scenario start from the first file's folder.
    fn make_paths_relative(&self, scenario: &mut Scenario) {
        let moved = |file: &mut String, path: &str| {
            let folder = &self.folders[self.document.place(path).file];
            *file = folder.join(&file).display().to_string();
        };
        if let Some(file) = &mut scenario.team.organization {
            let is_built_in = file == BUILT_IN.0;
            moved(file, "team.organization");
            // Whoever extends what karma printed elsewhere means what comes with karma, too.
            if is_built_in && matches!(self.resolve(file).try_exists(), Ok(false)) {
                BUILT_IN.0.clone_into(file);
            }
        }
        for (path, trace) in scenario.traces_mut() {
            moved(&mut trace.file, &format!("{path}.file"));
        }
    }

    /// Where a path in the scenario leads.
    fn resolve(&self, file: &str) -> PathBuf {
        self.files[0].parent().unwrap_or("".as_ref()).join(file)
    }

    fn read_organization(
        &mut self,
        scenario: &Scenario,
        findings: &mut Vec<Finding>,
    ) -> Option<(PathBuf, String)> {
        let named = scenario.team.organization.as_ref()?;
        let file = self.resolve(named);
        match files::read_text(&file, files::MOST_TEXT) {
            Ok(text) => {
                self.files.push(file.clone());
                Some((file, text))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && named == BUILT_IN.0 => {
                Some((BUILT_IN.0.into(), BUILT_IN.1.to_owned()))
            }
            Err(error) => {
                let message = format!("{} cannot be read: {error}", file.display());
                let hint = "the path is relative to the file that names it";
                findings.push(Finding::new("team.organization", message, hint));
                None
            }
        }
    }

    /// Reads the traces that the workloads play, and writes out their factors. Returns what is
    /// likely not meant.
    fn read_traces(
        &mut self,
        scenario: &mut Scenario,
        findings: &mut Vec<Finding>,
    ) -> Vec<Finding> {
        let plain = scenario.clone();
        let mut unlikely = Vec::new();
        for (path, workload) in scenario.traces_mut() {
            let file = self.resolve(&workload.file);
            let read = trace::load(&file, workload.clone());
            let read = read.and_then(|mut loaded| {
                trace::resolve(&mut loaded.workload, &plain)?;
                Ok(loaded)
            });
            match read {
                Ok(loaded) => {
                    if let Some(warning) = loaded.warning() {
                        let hint = "set interval to the time between rows";
                        let path = format!("{path}.interval");
                        unlikely.push(Finding::new(&path, warning, hint));
                    }
                    *workload = loaded.workload;
                    if !self.files.contains(&file) {
                        self.files.push(file);
                    }
                }
                Err(error) => {
                    let path = format!("{path}.{}", error.key());
                    let why = std::error::Error::source(&error);
                    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                    let finding = Finding::new(&path, format!("{error}{why}"), error.hint());
                    findings.push(finding.about("duration"));
                }
            }
        }
        unlikely
    }
}

/// The file that `document` extends, and where it says so.
fn extended(document: &Document) -> Option<(String, Place)> {
    let node = document.root.get("extends")?;
    match &node.value {
        Value::Text(file) => Some((file.clone(), node.place)),
        _ => None,
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// The scenario as YAML with every default written out; reads back equal.
#[must_use]
pub fn to_yaml(scenario: &Scenario) -> String {
    yaml::write(scenario)
}
