//! The losses of an update as operations on tensors: the formulas of [`super::super::losses`], whose
//! numbers D16 to D21 stand here too. candle differentiates them.

use candle_core::{D, Result, Tensor};

/// What was played in the rows of a minibatch of a policy.
#[derive(Debug)]
pub(super) struct Played {
    /// Rows × heads × choices: 1 where allowed, 0 where not.
    pub(super) allowed: Tensor,
    /// Rows × heads.
    pub(super) choices: Tensor,
    /// Rows; under the policy that played.
    pub(super) log_probs: Tensor,
    /// Rows.
    pub(super) advantages: Tensor,
}

/// What the terms of a policy's loss weigh.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub(super) clip: f64,
    pub(super) entropy: f64,
    pub(super) mask_loss: f64,
}

/// Logarithms of probabilities along the last axis, and the logarithm of what they were divided by.
fn log_softmax(logits: &Tensor) -> Result<(Tensor, Tensor)> {
    let top = logits.max_keepdim(D::Minus1)?.detach();
    let sums = logits.broadcast_sub(&top)?.exp()?.sum_keepdim(D::Minus1)?;
    let whole = (sums.log()? + top)?;
    Ok((logits.broadcast_sub(&whole)?, whole.squeeze(D::Minus1)?))
}

/// The loss of a policy, mean over rows, of `logits: rows × width`; and what is told of it: sums of
/// divergences, of clipped ratios, of entropies and of the probability of what is forbidden, and the
/// largest distance of a ratio from one.
pub(super) fn policy(logits: &Tensor, played: &Played, weights: Weights) -> Result<[Tensor; 2]> {
    let logits = logits.reshape(played.allowed.shape())?;
    // D16. The same masks in the rollout and here.
    let away = ((&played.allowed - 1.0)? * 1e30)?;
    let (logs, masked) = log_softmax(&((&logits * &played.allowed)? + away)?)?;
    let choices = played.choices.unsqueeze(D::Minus1)?;
    let log_probs = logs
        .gather(&choices, D::Minus1)?
        .squeeze(D::Minus1)?
        .sum(1)?;
    let entropy = (logs.exp()? * &logs)?.sum(D::Minus1)?.sum(1)?.neg()?;

    // D17. The clipped surrogate.
    let log_ratios = (&log_probs - &played.log_probs)?;
    let ratios = log_ratios.exp()?;
    let held = ratios.clamp(1.0 - weights.clip, 1.0 + weights.clip)?;
    let gains = (&ratios * &played.advantages)?.minimum(&(held * &played.advantages)?)?;
    // D19. Entropy is part of the loss.
    let mut losses = (gains.neg()? - (&entropy * weights.entropy)?)?;
    let mut forbidden = losses.zeros_like()?;
    if weights.mask_loss > 0.0 {
        // D21. What masks allow is taught to the policy without them: −ln Σ p(allowed).
        let (_, unmasked) = log_softmax(&logits)?;
        let missing = (unmasked - masked)?;
        forbidden = (missing.neg()?.exp()?.neg()? + 1.0)?.sum(1)?;
        losses = (losses + (missing.sum(1)? * weights.mask_loss)?)?;
    }

    // D18. KL by the estimator (r − 1) − ln r.
    let kl = ((&ratios - 1.0)? - &log_ratios)?;
    let distances = (ratios - 1.0)?.abs()?;
    let far = distances.gt(weights.clip)?.to_dtype(distances.dtype())?;
    let sums = [kl, far, entropy, forbidden].map(|of| of.detach().sum_all());
    let mut told = sums.into_iter().collect::<Result<Vec<Tensor>>>()?;
    told.push(distances.detach().max_all()?);
    Ok([losses.mean_all()?, Tensor::stack(&told, 0)?])
}

/// D20. The loss of values, mean over all: the worse of the plain and the clipped squared error; and
/// its sum. All of one shape.
pub(super) fn value(
    values: &Tensor,
    old: &Tensor,
    targets: &Tensor,
    clip: f64,
) -> Result<[Tensor; 2]> {
    let clipped = (old + (values - old)?.clamp(-clip, clip)?)?;
    let (plain, held) = ((values - targets)?.sqr()?, (clipped - targets)?.sqr()?);
    let losses = (plain.maximum(&held)? * 0.5)?;
    let sum = losses.detach().sum_all()?.unsqueeze(0)?;
    Ok([losses.mean_all()?, sum])
}

#[cfg(test)]
mod tests;
