//! A job's `CO_DATA`, built of what earlier jobs and the webhook have said.

use serde_json::Value;

use super::{Result, settle::Place};
use crate::{
    flow::{
        self,
        data::{Data, Kind, MAX_DATA_BYTES},
    },
    model::{Input, JobPlan, Output, Source},
    store::Tx,
};

/// A larger payload is not read for links: it would be held in memory once more for each of its values.
const MAX_PAYLOAD_BYTES: usize = 4 << 20;
/// Re-runs of re-runs: so many are followed to the one that a webhook started.
const MAX_REPEATS: usize = 1000;

/// Why a job cannot start: its author's mistake, in words.
pub(super) type Unbuilt = String;

/// The `CO_DATA` of a job with inputs; `None` for one without.
pub(super) async fn data_of(
    tx: &mut Tx,
    place: &Place,
    job: &JobPlan,
) -> Result<std::result::Result<Option<String>, Unbuilt>> {
    if job.inputs.is_empty() && job.auto_inputs.is_empty() {
        return Ok(Ok(None));
    }
    let given = job.environments.get("CO_DATA").map(|text| text.parse::<Data>());
    let mut data = match given {
        None => Data::empty(),
        Some(Ok(data)) => data,
        Some(Err(error)) => return Ok(Err(format!("its `CO_DATA` takes no inputs: {error}"))),
    };
    let leaves = data.leaves();
    let mut payload = None;
    for input in &job.inputs {
        let value = match value_of(tx, place, input, &mut payload).await? {
            Ok(Some(value)) => value,
            Ok(None) | Err(_) if input.optional => continue,
            Ok(None) => return Ok(Err(missing(input))),
            Err(why) => return Ok(Err(format!("it takes {} as `{}`, but {why}", input.from, input.to.join(".")))),
        };
        if let Err(why) = data.set(&input.to, value) {
            return Ok(Err(why));
        }
    }
    let open: Vec<_> =
        leaves.into_iter().filter(|(to, _)| !job.inputs.iter().any(|input| flow::overlap(&input.to, to))).collect();
    if let Err(why) = link_by_name(tx, place, job, open, &mut data).await? {
        return Ok(Err(why));
    }
    let text = data.to_string();
    if text.len() > MAX_DATA_BYTES {
        return Ok(Err(format!("its `CO_DATA` would have {} bytes; {MAX_DATA_BYTES} are the most", text.len())));
    }
    Ok(Ok(Some(text)))
}

/// The rest of what the data names, from reports that have it under the same name with the same type.
async fn link_by_name(
    tx: &mut Tx,
    place: &Place,
    job: &JobPlan,
    open: Vec<(Vec<String>, Kind)>,
    data: &mut Data,
) -> Result<std::result::Result<(), Unbuilt>> {
    let mut reports: Vec<(&Output, Value)> = Vec::new();
    for output in &job.auto_inputs {
        let text = written(tx, place, output).await?;
        // one that cannot be read has nothing of that name
        let value = text.and_then(|text| flow::data::value_in(&output.key, &text, &[]).ok().flatten());
        reports.extend(value.map(|value| (output, value)));
    }
    for (to, kind) in open {
        let found = reports.iter().filter_map(|(output, report)| Some((output, look(report, &to)?)));
        let found: Vec<_> = found.filter(|(_, value)| kind.takes(Kind::of(value))).collect();
        match found.as_slice() {
            [] => {}
            [(_, value)] => {
                if let Err(why) = data.set(&to, (*value).clone()) {
                    return Ok(Err(why));
                }
            }
            several => {
                let named = several.iter().map(|(output, _)| (to.as_slice(), output.to_string()));
                return Ok(Err(flow::conflict(named)));
            }
        }
    }
    Ok(Ok(()))
}

async fn value_of(
    tx: &mut Tx,
    place: &Place,
    input: &Input,
    payload: &mut Option<std::result::Result<Value, String>>,
) -> Result<std::result::Result<Option<Value>, String>> {
    match &input.from {
        Source::Output { output, path } => match written(tx, place, output).await? {
            Some(text) => Ok(flow::data::value_in(&output.key, &text, path)),
            None => Ok(Ok(None)),
        },
        Source::Event { path } => {
            if payload.is_none() {
                *payload = Some(read_payload(tx, place).await?);
            }
            Ok(match payload {
                Some(Ok(payload)) => Ok(look(payload, path).cloned()),
                Some(Err(why)) => Err(why.clone()),
                None => Ok(None),
            })
        }
    }
}

async fn written(tx: &mut Tx, place: &Place, output: &Output) -> Result<Option<String>> {
    let Some(places) = place.flow()?.find(&output.job) else { return Ok(None) };
    Ok(tx.output_of(place.run.id, places, output).await?)
}

/// The body of the webhook that started the run, or the run that this one repeats.
async fn read_payload(tx: &mut Tx, place: &Place) -> Result<std::result::Result<Value, String>> {
    let (mut delivery, mut repeated) = (place.run.delivery_id, place.run.rerun_of);
    for _ in 0..MAX_REPEATS {
        let Some(run) = repeated else { break };
        let Some(run) = tx.run(run).await? else { break };
        (delivery, repeated) = (run.delivery_id, run.rerun_of);
    }
    let row = match delivery {
        Some(delivery) => tx.delivery(delivery).await?,
        None => None,
    };
    Ok(match row {
        None => Err("no webhook started this run".to_owned()),
        Some(row) if row.body.len() > MAX_PAYLOAD_BYTES => {
            Err(format!("the webhook has {} bytes, of which {MAX_PAYLOAD_BYTES} would be read", row.body.len()))
        }
        Some(row) => serde_json::from_slice(&row.body).map_err(|error| format!("the webhook is no JSON: {error}")),
    })
}

fn look<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Object(map) => map.get(part),
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

fn missing(input: &Input) -> Unbuilt {
    let to = input.to.join(".");
    let rest = "with `optional: true` it would run without";
    match &input.from {
        Source::Output { output, path } if path.is_empty() => {
            format!("{} did not write {}, which it takes as `{to}`; {rest}", output.job, output.key)
        }
        from @ (Source::Output { .. } | Source::Event { .. }) => {
            format!("there is no {from}, which it takes as `{to}`; {rest}")
        }
    }
}
