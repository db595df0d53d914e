//! `resources`: what a job asks of the machine.

use crate::model::Resources;

use super::{
    Reading, Shape,
    fields::Fields,
    findings::quoted,
    keys,
    node::Text,
    quantity::{self, Quantity},
    scalar,
};

/// Less memory than this starts no process; who writes it means another unit.
const LEAST_MEMORY: Quantity = Quantity(1_048_576.0);

/// One checked quantity.
struct Amount {
    text: Text,
    worth: Quantity,
}

/// Requests and limits; nothing where the file gives nothing, or 0.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Resources {
    let Some(mut requests) = fields.claim("resources").and_then(|node| Fields::of(node, &keys::RESOURCES, reading))
    else {
        return Resources::default();
    };
    let cpu = amount(&mut requests, "cpu", reading);
    let memory = amount(&mut requests, "memory", reading);
    let limits = requests.claim("limits").and_then(|node| Fields::of(node, &keys::LIMITS, reading));
    requests.close(reading);
    let (mut cpu_limit, mut memory_limit) = (None, None);
    if let Some(mut limits) = limits {
        cpu_limit = amount(&mut limits, "cpu", reading);
        memory_limit = amount(&mut limits, "memory", reading);
        limits.close(reading);
    }
    check_order(cpu.as_ref(), cpu_limit.as_ref(), reading);
    check_order(memory.as_ref(), memory_limit.as_ref(), reading);
    let text = |amount: Option<Amount>| amount.map(|amount| amount.text.text);
    Resources { cpu: text(cpu), memory: text(memory), cpu_limit: text(cpu_limit), memory_limit: text(memory_limit) }
}

fn amount(fields: &mut Fields<'_>, key: &str, reading: &mut Reading<'_>) -> Option<Amount> {
    let text = scalar::text(fields.claim(key)?, &format!("`{key}`"), reading)?;
    if text.text.is_empty() && reading.shape == Shape::Original {
        return None;
    }
    let Some(worth) = quantity::parse(&text.text) else {
        let hint = quantity::suggestion(&text.text)
            .map_or_else(|| "write 500m, 2, 512Mi or 4G".to_owned(), |near| format!("write {near}"));
        reading.findings.error(text.at, format!("{} is no quantity", quoted(&text.text))).hint(hint);
        return None;
    };
    if worth <= Quantity(0.0) {
        return None;
    }
    if key == "memory" && worth < LEAST_MEMORY {
        let message = format!("{} of memory is less than 1 MiB", quoted(&text.text));
        reading.findings.error(text.at, message).hint("the units of memory are Mi, Gi, M and G");
    }
    Some(Amount { text, worth })
}

fn check_order(request: Option<&Amount>, limit: Option<&Amount>, reading: &mut Reading<'_>) {
    if let (Some(request), Some(limit)) = (request, limit)
        && request.worth > limit.worth
    {
        let message = format!("a limit of {} is below what is asked for, {}", limit.text.text, request.text.text);
        reading.findings.error(limit.text.at, message);
    }
}
