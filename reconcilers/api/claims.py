"""What a claim template may be, and what an edit may not do to it, as CEL rules. Pure.

A StatefulSet's claims are made once: later another class, access mode or name in the template would
reach no volume that exists, and a volume cannot shrink. They need Kubernetes 1.29 (quantities).

The rules compare fields, not results of functions: of those the API server knows no greatest size,
and it refuses rules that could become expensive.
"""

from __future__ import annotations

from reconcilers.api.definition import Rule

BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
"""Deprecated since Kubernetes 1.6; the manuals of the Go operator still give it."""

_TEMPLATE = "volumeClaimTemplates[0]"
_DEFAULT_MODES = "['ReadWriteOnce']"


def _has_claims(spec: str) -> str:
    return (
        f"{spec}.storageMode in ['StorageClass', 'NFS'] && "
        f"has({spec}.volumeClaimTemplates) && size({spec}.volumeClaimTemplates) > 0"
    )


def _has_size(spec: str) -> str:
    template = f"{spec}.{_TEMPLATE}"
    return (
        f"has({template}.spec) && has({template}.spec.resources) && "
        f"has({template}.spec.resources.requests) && "
        f"'storage' in {template}.spec.resources.requests && "
        f"(type({_size(spec)}) == int || isQuantity({_size(spec)}))"
    )


def _size(spec: str) -> str:
    return f"{spec}.{_TEMPLATE}.spec.resources.requests['storage']"


def _quantity(size: str) -> str:
    return f"(type({size}) == int ? quantity('0').add(int({size})) : quantity({size}))"


def _both(one: str, other: str, absent: str = "") -> str:
    """Both fields have the same value; `absent` is what one that is missing stands for."""
    neither = f"!has({one}) && !has({other})"
    equal = f"has({one}) && has({other}) && {one} == {other}"
    if not absent:
        return f"({neither} || {equal})"
    given = f"(has({one}) ? {one} == {absent} : {other} == {absent})"
    return f"({neither} || (has({one}) && has({other}) ? {one} == {other} : {given}))"


def _same_class() -> str:
    new, old = (f"{spec}.{_TEMPLATE}.spec.storageClassName" for spec in ("self", "oldSelf"))
    new_beta, old_beta = (
        f"{spec}.{_TEMPLATE}.metadata.annotations['{BETA_CLASS}']" for spec in ("self", "oldSelf")
    )
    has_new_beta, has_old_beta = (_has_beta_class(spec) for spec in ("self", "oldSelf"))
    return (
        f"(has({new}) ? (has({old}) ? {new} == {old} : {has_old_beta} && {new} == {old_beta}) : "
        f"has({old}) ? {has_new_beta} && {new_beta} == {old} : "
        f"{has_new_beta} ? {has_old_beta} && {new_beta} == {old_beta} : !({has_old_beta}))"
    )


def _has_beta_class(spec: str) -> str:
    metadata = f"{spec}.{_TEMPLATE}.metadata"
    return (
        f"(has({metadata}) && has({metadata}.annotations) && "
        f"'{BETA_CLASS}' in {metadata}.annotations)"
    )


SIZE_GIVEN = Rule(
    rule=f"!(self.storageMode in ['StorageClass', 'NFS']) || "
    f"({_has_claims('self')} && {_has_size('self')} && "
    f"{_quantity(_size('self'))}.isGreaterThan(quantity('0')))",
    message="storageMode StorageClass or NFS needs "
    f"{_TEMPLATE}.spec.resources.requests.storage, more than 0, e.g. 8Gi",
)
"""The rule on the spec that there is a size."""


def claim_rules(remedy: str) -> tuple[Rule, ...]:
    """Transition rules on the spec; `remedy` is what to do instead."""
    both = f"!({_has_claims('self')} && {_has_claims('oldSelf')})"
    specs = f"has(self.{_TEMPLATE}.spec) && has(oldSelf.{_TEMPLATE}.spec)"
    new, old = (f"{spec}.{_TEMPLATE}" for spec in ("self", "oldSelf"))
    modes = _both(f"{new}.spec.accessModes", f"{old}.spec.accessModes", absent=_DEFAULT_MODES)
    heads = f"has({new}.metadata) && has({old}.metadata)"
    name = _both(f"{new}.metadata.name", f"{old}.metadata.name")
    return (
        Rule(
            rule=f"{both} || ({specs} && {_same_class()})",
            message=f"{_TEMPLATE}: the storage class cannot be changed, for the volumes that exist "
            f"stay in theirs: {remedy}",
        ),
        Rule(
            rule=f"{both} || ({specs} && {modes})",
            message=f"{_TEMPLATE}: accessModes cannot be changed, for the volumes that exist keep "
            f"theirs: {remedy}",
        ),
        Rule(
            rule=f"{both} || (!has({new}.metadata) && !has({old}.metadata)) || ({heads} && {name})",
            message=f"{_TEMPLATE}: metadata.name cannot be changed, for the volumes that exist are "
            f"called after it: {remedy}",
        ),
    )


def size_rule(remedy: str) -> Rule:
    """The transition rule on the object: no size below the old one, or the largest volume's.

    So a growth that the storage refused can be taken back. A size that is no quantity (stored under
    an older schema) may be corrected.
    """
    new, old = (_quantity(_size(spec)) for spec in ("self.spec", "oldSelf.spec"))
    both = " && ".join(
        f"{_has_claims(spec)} && {_has_size(spec)}" for spec in ("self.spec", "oldSelf.spec")
    )
    there = "self.status.volumeSize"
    return Rule(
        rule=f"!({both}) || !{new}.isLessThan({old}) || "
        f"(has(self.status) && has({there}) && isQuantity({there}) && "
        f"!{new}.isLessThan(quantity({there})))",
        message=f"{_TEMPLATE}: the size cannot be lowered, for a volume cannot shrink (a growth "
        f"that failed may be taken back to status.volumeSize): {remedy}",
    )
