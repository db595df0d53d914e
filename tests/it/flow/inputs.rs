//! Inputs: what they link, and in which form a component gets them.

use containerops::flow::{
    self, GraphFormat,
    data::{Data, value_in},
};
use insta::assert_snapshot;
use serde_json::json;

use super::{good, plan, push, repository};

#[test]
fn inputs_are_links_and_auto_finds_what_it_can_when_the_file_is_read() {
    let plan = plan(&good("good", "inputs"), push("main"));
    let ship = &plan.stages[1].actions;
    let told = |place: usize| {
        let job = &ship[place].jobs[0];
        let one = |input: &containerops::model::Input| format!("{} → {}\n", input.from, input.to.join("."));
        let auto: String = job.auto_inputs.iter().map(|output| format!("{output} → auto\n")).collect();
        job.inputs.iter().map(one).collect::<String>() + &auto
    };
    assert_snapshot!(told(0), @r"
check.unit.build[VERSION] → release.version
check.unit.build[CO_JSON_CONTENT].files.0.size → release.size
check.unit.test[CO_XML_CONTENT] → report
event.pull_request.user.login → by
");
    assert_snapshot!(told(1), @r"
event.sender.login → by
check.unit.build[VERSION] → VERSION
check.unit.build[CO_JSON_CONTENT] → auto
check.unit.test[CO_YAML_CONTENT] → auto
");
    assert_snapshot!(told(2), @"check.unit.build[VERSION] → version");
}

#[test]
fn values_keep_their_types_at_their_paths() {
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let json_text = r#"{"a": [{"b": 1.50}, true], "c": null}"#;
    let value = |key: &str, text: &str, at: &str| value_in(key, text, &path(at));
    assert_eq!(value("CO_JSON_CONTENT", json_text, "a.0.b"), Ok(Some(json!(1.5))));
    assert_eq!(value("CO_JSON_CONTENT", json_text, "a.1"), Ok(Some(json!(true))));
    assert_eq!(value("CO_JSON_CONTENT", json_text, "c"), Ok(Some(json!(null))));
    assert_eq!(value("CO_JSON_CONTENT", json_text, "a.2"), Ok(None));
    assert_eq!(value("ANY", json_text, "a.0"), Ok(Some(json!({"b": 1.5}))));
    assert_eq!(value("CO_YAML_CONTENT", r"'a:\n- b: 7\n'", "a.0.b"), Ok(Some(json!(7))));
    assert_eq!(value_in("CO_XML_CONTENT", r"'<a>\n</a>'", &[]), Ok(Some(json!("<a>\n</a>"))));
    assert_eq!(value_in("COUNT", "7", &[]), Ok(Some(json!("7"))), "an output is a text");
    assert!(value("CO_JSON_CONTENT", "{", "a").is_err_and(|why| why.starts_with("it is no JSON")));
}

#[test]
fn both_forms_of_data_take_values_at_their_places() {
    let set = |text: &str, to: &[&str], value| {
        let mut data: Data = text.parse().expect("data");
        let to: Vec<String> = to.iter().map(|&part| part.to_owned()).collect();
        data.set(&to, value).map(|()| data.to_string())
    };
    assert_eq!(set("{\"a\": {\"x\": 1}}", &["a", "b"], json!(2)), Ok(r#"{"a":{"b":2,"x":1}}"#.to_owned()));
    assert_eq!(set("{\"a\": 1}", &["a", "b"], json!("x")), Ok(r#"{"a":{"b":"x"}}"#.to_owned()));
    assert_eq!(set("a=1  b=x", &["a"], json!(2)), Ok("a=2 b=x".to_owned()));
    assert_eq!(set("a=1", &["c"], json!("x=y")), Ok("a=1 c=x=y".to_owned()));
    assert!(set("a=1", &["a"], json!("two words")).is_err());
    assert!(set("a=1", &["a", "b"], json!(1)).is_err());
}

#[test]
fn a_plan_is_drawn_in_both_formats() {
    let text = r##"
stages:
  - {type: start, name: start}
  - name: check
    title: 'Check "it" <b>;\'
    actions:
      - name: unit
        matrix: {v: ['"]; x --> y', "#b`"]}
        jobs: [{name: unit, image: "i:1", outputs: [K, 'a"b\']}]
      - {name: after, image: "i:1", subscriptions: {"check.unit(#b`).unit[K]": K}}
  - name: ship
    image: i:1
    inputs: [{from: event.ref, to: ref}, {from: "check.unit(#b`).unit[a\"b\\].x", to: x}]
"##;
    let flow = flow::read("ci.yml", &repository(), text.as_bytes());
    let plan = plan(&flow.unwrap_or_else(|wrong| panic!("{}", flow::render("ci.yml", &wrong))), push("main"));
    assert_snapshot!(flow::graph(&plan, GraphFormat::Mermaid), @r#"
flowchart LR
  event(["event"])
  s0(["start"])
  subgraph s1["check: Check #34;it#34; #60;b#62;#59;#92;"]
    subgraph m1_0["unit"]
      a1_0["unit (#34;#93;#59; x --#62; y)"]
      a1_1["unit (#35;b#96;)"]
    end
    a1_2["after"]
    m1_0 --> a1_2
  end
  subgraph s2["ship"]
    a2_0["ship"]
  end
  s0 --> s1
  s1 --> s2
  a1_1 -. "K" .-> a1_2
  event -. "ref → ref" .-> a2_0
  a1_1 -. "a#34;b#92;.x → x" .-> a2_0
"#);
    assert_snapshot!(flow::graph(&plan, GraphFormat::Dot), @r#"
digraph "ci" {
  rankdir=LR; compound=true; node [shape=box];
  event [label="event" shape=ellipse];
  s0 [label="start" shape=ellipse];
  subgraph cluster_s1 { label="check: Check \"it\" <b>;\\";
    subgraph cluster_m1_0 { label="unit";
      a1_0 [label="unit (\"]; x --> y)"];
      a1_1 [label="unit (#b`)"];
    }
    a1_2 [label="after"];
    a1_0 -> a1_2 [ltail=cluster_m1_0];
  }
  subgraph cluster_s2 { label="ship";
    a2_0 [label="ship"];
  }
  s0 -> a1_0 [lhead=cluster_s1];
  a1_0 -> a2_0 [ltail=cluster_s1 lhead=cluster_s2];
  a1_1 -> a1_2 [style=dotted label="K"];
  event -> a2_0 [style=dotted label="ref → ref"];
  a1_1 -> a2_0 [style=dotted label="a\"b\\.x → x"];
}
"#);
}
