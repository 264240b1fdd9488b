//! Scenario files: what is shipped loads, reads back equal, and is described as it is.

use std::{fs, path::Path};

use karma_cluster::{
    Scenario,
    scenario::{self, Loaded},
    workload,
    yaml::Refusals,
};

use crate::{assert_golden, workspace};

const SHIPPED: [&str; 8] = [
    "smoke",
    "pipeline",
    "diamond",
    "bottleneck",
    "ddos",
    "pod-failure",
    "contention",
    "mixed",
];
const CONTEXTS: [&str; 5] = ["bottleneck", "ddos", "pod-failure", "contention", "mixed"];

fn shipped(name: &str) -> Result<Loaded, Refusals> {
    scenario::load(&workspace(&format!("scenarios/{name}.yaml")))
}

fn context_names(scenario: &Scenario) -> Vec<&str> {
    scenario
        .contexts
        .iter()
        .map(|context| context.name.as_str())
        .collect()
}

#[test]
fn every_file_in_the_folder_is_known_here_and_names_its_schema() {
    let mut found: Vec<String> = fs::read_dir(workspace("scenarios"))
        .expect("the folder is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    found.sort();
    let mut known = SHIPPED.map(str::to_owned);
    known.sort();
    assert_eq!(found, known);
    for name in SHIPPED {
        let text = fs::read_to_string(workspace(&format!("scenarios/{name}.yaml")));
        let text = text.expect("a scenario is text");
        let first = text.lines().next();
        assert_eq!(
            first,
            Some("# yaml-language-server: $schema=schema.json"),
            "{name}"
        );
    }
}

#[test]
fn shipped_scenarios_load_with_organization_and_named_inputs() -> Result<(), Refusals> {
    for name in SHIPPED {
        let loaded = shipped(name)?;
        assert_eq!(loaded.scenario.name, name);
        assert!(
            loaded
                .organization
                .is_some_and(|(_, text)| text.contains("format: 1"))
        );
        assert!(loaded.inputs[0].ends_with(format!("{name}.yaml")));
        assert!(loaded.inputs.iter().all(|input| input.is_file()));
    }
    Ok(())
}

#[test]
fn context_files_are_the_pipeline_with_that_context() -> Result<(), Refusals> {
    let pipeline = shipped("pipeline")?.scenario;
    assert_eq!(context_names(&pipeline), CONTEXTS);
    for name in CONTEXTS {
        let loaded = shipped(name)?;
        let mut expected = pipeline.clone();
        expected.name = name.to_owned();
        expected.contexts.retain(|context| context.name == name);
        assert_eq!(loaded.scenario, expected);
        assert!(loaded.inputs[1].ends_with("pipeline.yaml"));
    }
    Ok(())
}

#[test]
fn pipeline_has_the_numbers_of_the_design() -> Result<(), Refusals> {
    let pipeline = shipped("pipeline")?.scenario;
    let row = |s: &scenario::Service| {
        let (min, max) = (s.replicas.min, s.replicas.max);
        let (cpu, memory) = (s.cpu_request.millicores(), s.memory_request.mebibytes());
        (s.name.clone(), cpu, memory, min, max, s.rate_per_replica)
    };
    let expected = [
        ("a", 500.0, 256.0, 1, 12, 100.0),
        ("b", 400.0, 512.0, 1, 12, 80.0),
        ("c", 600.0, 512.0, 1, 12, 150.0),
        ("d", 700.0, 1024.0, 1, 12, 300.0),
    ];
    let expected = expected.map(|(n, c, m, min, max, r)| (n.to_owned(), c, m, min, max, r));
    assert_eq!(
        pipeline.services.iter().map(row).collect::<Vec<_>>(),
        expected
    );
    let cpu = |nodes: &[scenario::NodePool]| {
        nodes
            .iter()
            .map(|n| f64::from(n.count) * n.cpu.millicores())
            .sum::<f64>()
    };
    assert_eq!(cpu(&pipeline.nodes), 16_000.0);
    let contention = pipeline.contexts[3].nodes.as_deref().unwrap_or_default();
    assert_eq!(cpu(contention), 8000.0);
    assert_eq!(pipeline.duration.seconds(), 1800.0);
    assert_eq!(
        (
            pipeline.slo.latency.seconds(),
            pipeline.slo.timeout.seconds()
        ),
        (0.5, 2.0)
    );
    assert_eq!(pipeline.services[0].startup.median.seconds(), 20.0);
    assert_eq!(workload::capacity(&pipeline), 960.0);
    assert!(
        pipeline
            .contexts
            .iter()
            .all(|context| context.disturbance.is_some())
    );
    assert!(pipeline.reward.cost > 0.0);
    Ok(())
}

#[test]
fn diamond_is_capped_by_b_and_sends_d_twice_the_load() -> Result<(), Refusals> {
    let diamond = shipped("diamond")?.scenario;
    assert_eq!(context_names(&diamond), CONTEXTS);
    assert_eq!(workload::visits(&diamond), [1.0, 1.0, 1.0, 2.0]);
    assert_eq!(workload::capacity(&diamond), 240.0);
    let most: f64 = diamond
        .services
        .iter()
        .map(|s| f64::from(s.replicas.max) * s.cpu_request.millicores())
        .sum();
    assert_eq!(most, 10_300.0);
    Ok(())
}

#[test]
fn resolved_scenarios_read_back_equal() -> Result<(), Refusals> {
    for name in SHIPPED {
        let loaded = shipped(name)?;
        let text = scenario::to_yaml(&loaded.scenario);
        let again = scenario::parse(&text, &loaded.inputs[0])?;
        assert_eq!(again.scenario, loaded.scenario, "{text}");
        assert_eq!(scenario::to_yaml(&again.scenario), text);
    }
    Ok(())
}

#[test]
fn every_kind_of_setting_reads_back_equal() -> Result<(), Refusals> {
    let file = workspace("scenarios/kinds.yaml");
    let text = include_str!("../golden/kinds.yaml");
    let loaded = scenario::parse(text, &file)?;
    let again = scenario::parse(&scenario::to_yaml(&loaded.scenario), &file)?;
    assert_eq!(again.scenario, loaded.scenario);
    Ok(())
}

#[test]
fn schema_is_current() {
    let mut text = serde_json::to_string_pretty(&scenario::schema()).expect("a schema is JSON");
    text.push('\n');
    assert_golden("scenarios/schema.json", &text);
}

#[test]
fn key_reference_is_current() {
    assert_golden("scenarios/REFERENCE.md", &scenario::key_reference());
}

#[test]
fn templates_are_the_shipped_files_and_say_where_the_schema_is() {
    for name in ["smoke", "pipeline", "diamond"] {
        let file = fs::read_to_string(workspace(&format!("scenarios/{name}.yaml")));
        let template = scenario::template(name);
        let template = template.expect("every shipped scenario is a template");
        let (first, rest) = template.split_once('\n').expect("a scenario has lines");
        let (second, rest) = rest.split_once('\n').expect("a scenario has lines");
        assert!(second.contains("scenarios/schema.json of KARMA's repository"));
        assert_eq!(Some(format!("{first}\n{rest}")), file.ok());
    }
    assert_eq!(scenario::template("zebra"), None);
}

#[test]
fn a_template_of_a_scenario_that_extends_another_is_that_scenario_in_one_file()
-> Result<(), Refusals> {
    for name in SHIPPED {
        let text = scenario::template(name).expect("every shipped scenario is a template");
        assert!(!text.contains("extends:"), "{name}");
        let whole = scenario::parse(&text, &workspace("scenarios/template.yaml"))?;
        assert_eq!(whole.scenario, shipped(name)?.scenario, "{name}");
    }
    Ok(())
}

/// The warnings of a sound scenario in which every text is replaced by the other once.
fn warnings(changes: &[(&str, &str)]) -> Result<Vec<String>, Refusals> {
    let mut text = include_str!("../golden/sound.yaml").to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let loaded = scenario::parse(&text, Path::new("s.yaml"))?;
    Ok(loaded.warnings.iter().map(ToString::to_string).collect())
}

#[test]
fn an_episode_that_starts_overloaded_is_warned_of() -> Result<(), Refusals> {
    assert_eq!(warnings(&[])?, [""; 0]);
    assert_eq!(
        warnings(&[("rate: 60", "rate: 230.25")])?,
        [
            "s.yaml:7: services[0].replicas: front starts overloaded in context ddos: 230.3 \
             requests/s arrive, 2 replicas serve 100 (hint: even max, 4, is too few for this load: \
             5 would do)",
            "s.yaml:13: services[1].replicas: back starts overloaded in context ddos: 230.3 \
             requests/s arrive, 1 replica serves 60 (hint: start with 4: replicas: {initial: 4})"
        ]
    );
    // Of points it is the load at the start; clients that wait never overload anything.
    let points = "points: {rate: 60, points: [{at: 1m, factor: 0.5}, {at: 2m, factor: 9}]}";
    assert_eq!(warnings(&[("constant: {rate: 60}", points)])?, [""; 0]);
    let closed = "closed: {clients: 1000, think_time: 1s}";
    assert_eq!(warnings(&[("constant: {rate: 60}", closed)])?, [""; 0]);
    Ok(())
}

#[test]
fn servers_that_wait_for_an_answer_serve_less() -> Result<(), Refusals> {
    // Work takes 4 / 50 = 80 ms in front and 4 / 60 = 66.7 ms in back, of which every second request
    // asks: 113.3 ms with one of 4 servers held are 35.3 requests/s of a pod.
    let sync = (
        "calls: [{to: back}]",
        "calls: [{to: back, mode: sync, probability: 0.5}]",
    );
    assert_eq!(
        warnings(&[sync, ("rate: 60", "rate: 75")])?,
        [
            "s.yaml:7: services[0].replicas: front starts overloaded in context ddos: 75 \
             requests/s arrive, 2 replicas serve 70.6: the call to back holds a server for 33.3ms \
             of 113.3ms (hint: start with 3: replicas: {initial: 3}, or let its servers go with \
             mode: async)"
        ]
    );
    assert_eq!(warnings(&[sync, ("rate: 60", "rate: 70")])?, [""; 0]);
    // Pods that share themselves work on while others of their requests wait.
    let shared = (
        "rate_per_replica: 50",
        "rate_per_replica: 50\n    discipline: ps",
    );
    assert_eq!(
        warnings(&[sync, shared, ("rate: 60", "rate: 75")])?,
        [""; 0]
    );
    Ok(())
}

#[test]
fn a_call_before_the_last_synchronous_one_holds_the_server_too() -> Result<(), Refusals> {
    let far = "  - name: far\n    replicas: {min: 4, max: 5}\n    cpu_request: 100m\n    \
               memory_request: 64Mi\n    rate_per_replica: 40\nnodes:";
    let both = "calls: [{to: back}, {to: far, mode: sync}]";
    let told = warnings(&[("calls: [{to: back}]", both), ("nodes:", far)])?;
    assert_eq!(told.len(), 1, "{told:?}");
    // 80 ms, 66.7 ms and 100 ms.
    let says = "2 replicas serve 32.4: calls to back and far hold a server for 166.7ms of 246.7ms";
    assert!(told[0].contains(says), "{told:?}");
    Ok(())
}

#[test]
fn an_slo_that_is_missed_without_any_queue_is_warned_of() -> Result<(), Refusals> {
    let slo = |latency| ("slo: {latency: 500ms", format!("slo: {{latency: {latency}"));
    let told = |latency| {
        let (from, to) = slo(latency);
        warnings(&[(from, &to)])
    };
    assert_eq!(told("147ms")?, [""; 0]);
    assert_eq!(
        told("146ms")?,
        [
            "s.yaml:10: services[0].rate_per_replica: a request to front takes at least 146.7ms on \
             average without any queue, the SLO is 146ms; 80ms of it at front (hint: lower its \
             concurrency or raise its rate: the work of a request takes concurrency / \
             rate_per_replica)"
        ]
    );
    Ok(())
}

#[test]
fn replicas_at_the_start_that_the_machines_do_not_hold_are_warned_of() -> Result<(), Refusals> {
    let nodes = "nodes: [{cpu: 8, memory: 8Gi}]";
    assert_eq!(
        warnings(&[(nodes, "nodes: [{cpu: 1500m, memory: 768Mi}]")])?,
        [""; 0]
    );
    assert_eq!(
        warnings(&[(nodes, "nodes: [{cpu: 1400m, memory: 8Gi}]")])?,
        [
            "s.yaml:17: nodes: the replicas at the start request 1500m CPU, there is 1400m CPU in \
             context ddos: some stay pending (hint: add machines, or start with fewer replicas)"
        ]
    );
    let told = warnings(&[(nodes, "nodes: [{cpu: 8, memory: 700Mi}]")])?;
    assert!(
        told[0].contains("request 768Mi, there is 700Mi"),
        "{told:?}"
    );
    Ok(())
}

#[test]
fn memory_without_its_unit_is_warned_of() -> Result<(), Refusals> {
    let of = |written: &str| {
        let to = format!("memory_request: {written}");
        warnings(&[("memory_request: 256Mi", &to)])
    };
    assert_eq!(
        of("256")?,
        [
            "s.yaml:9: services[0].memory_request: one pod of front requests 256 bytes of memory, \
             less than 4Mi (hint: did you mean 256Mi? a plain number is bytes; write Mi or Gi)"
        ]
    );
    assert!(of("300k")?[0].contains("did you mean 300Mi?"));
    assert!(of("256Ki")?[0].contains("did you mean 256Mi?"));
    assert!(!of("2Mi")?[0].contains("did you mean"));
    assert_eq!(of("4Mi")?, [""; 0]);
    Ok(())
}

#[test]
fn faults_of_the_organization_are_told_at_their_lines() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Rule {
        id: String,
        weight: f64,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Rules {
        format: u32,
        rules: Vec<Rule>,
    }
    let text = "format: 1\nrules:\n  - id: x\n    weight: heavy\n  - id: y\n    wieght: 1\n\
                \x20   weight: 2\n  - id: z\nextra: 1\n";
    let refusals = karma_cluster::yaml::read::<Rules>(text, Path::new("o.yaml"));
    let told = refusals.map_err(|refusals| refusals.to_string());
    assert_eq!(
        told.map(|_| ()),
        Err(
            "o.yaml:4: rules[0].weight: invalid type: string \"heavy\", expected f64\n\
             o.yaml:6: rules[1].wieght: unknown field `wieght`, expected `id` or `weight`\n\
             o.yaml:8: rules[2]: missing field `weight`\n\
             o.yaml:9: extra: unknown field `extra`, expected `format` or `rules`"
                .to_owned()
        )
    );
}
