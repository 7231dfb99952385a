"""Uploads in parts: whether one can be begun through the gateway, and given up again."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from hokusai_probe.answers import error_code, responder, said
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.http import Answer, strict_json
from hokusai_probe.looking import Entry, Look
from hokusai_probe.model import CannotTell, Facts, NotApplicable, Wrong
from hokusai_probe.probes._mlflow_rest import is_gone, never_made, new_name
from hokusai_probe.probes.artifact_route import says_no_route
from hokusai_probe.probes.mlflow_api import MlflowApiFacts
from hokusai_probe.probes.model_registration import UNDO_S
from hokusai_probe.probes.versions import VersionsFacts, at_least

ROUTE = "/api/2.0/mlflow-artifacts/mpu/"
FILE = "parts.bin"
_FAILED = "<h1>Internal Server Error</h1>"  # MLflow's web framework, for what S3 answered
_KNOWN_SINCE = (3, 0)  # MLflow has the route for longer; 3.17 was looked at, and of 2.x no release


class MultipartUploadsFacts(Facts):
    """What beginning an upload of one part was answered, and giving it up.

    ``begun`` comes without its body where MLflow gave an address to upload to: whoever has that may write.
    ``has_id``: whether the answer named the upload; ``nameless``: it gave addresses, and the store names no
    uploads. ``aborted`` None: there was nothing to give up.
    ``leftovers``: an upload of ours that may be open still; S3 charges for its parts, and it has none.
    """

    begun: Answer
    has_id: bool
    nameless: bool = False
    aborted: Answer | None = None
    entries: tuple[Entry, ...] = ()
    leftovers: tuple[str, ...] = ()

    @property
    def not_supported(self) -> bool:
        """MLflow itself says that its artifact store takes no uploads in parts: it is no store like S3."""
        return self.begun.status == 501 and error_code(self.begun) == "NOT_IMPLEMENTED"


class _Upload:
    """One upload of ours, as far as its maker knows."""

    def __init__(self, look: Look, prefix: str) -> None:
        self._look = look
        self._base = prefix + ROUTE
        self.folder = new_name(look.run_id)
        self.begun: Answer | None = None
        self.aborted: Answer | None = None
        self.id = ""
        self.nameless = False

    async def begin(self) -> Answer:
        self.begun = await self._send("create", {"path": FILE, "num_parts": 1})
        self.id, self.nameless = _named(self.begun)
        return self.begun

    async def abort(self) -> bool:
        """Give it up. Whether nothing is open any more: also where MLflow says that nothing was begun."""
        if self.nameless:
            return True
        if not self.id:
            return self.begun is not None and _never_begun(self.begun)
        self.aborted = await self._send("abort", {"path": FILE, "upload_id": self.id})
        return is_gone(self.aborted)

    async def _send(self, step: str, body: Mapping[str, JsonValue]) -> Answer:
        path, key = f"{self._base}{step}/{self.folder}", self._look.key_form()
        return await self._look.http.send("POST", "registry", path, key=key, json=dict(body))


def _named(answer: Answer) -> tuple[str, bool]:
    """The upload's id, as it was received: a redacted one would end nothing. Empty where there is none.

    And whether that is because the store names no upload: on Azure's there is none to give up (MLflow 3.17's
    source), and all there is are the addresses.
    """
    body = strict_json(answer.kept.decode(errors="replace")) if answer.status == 200 else None
    if not isinstance(body, Mapping):
        return "", False
    found = body.get("upload_id")
    return found if isinstance(found, str) else "", not found and bool(body.get("credentials"))


def _never_begun(answer: Answer) -> bool:
    """Whether nothing was begun: refused on the way, or MLflow could not, as where S3 refuses it."""
    failed = answer.status in {500, 501} and (responder(answer) == "mlflow" or _FAILED in answer.body)
    return failed or never_made(answer)


@probe(
    area="registration", safety="write", after=("experiments-can-be-searched",), cost=5, deadline_s=UNDO_S * 4
)
async def multipart_uploads(look: Look, api: MlflowApiFacts) -> MultipartUploadsFacts:
    """Beginning an upload in parts, as MLflow's client does with large files, and giving it up at once.

    The client does so where ``MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD`` is set. The parts themselves go straight
    to the store, to an address that MLflow names, and this tool sends nothing to others than the target's
    hosts: so no part is sent and no object made. Without a store like S3, MLflow answers 501.
    """
    upload = _Upload(look, api.prefix)
    look.journal.will_create("upload in parts", f"{upload.folder}/{FILE}", upload.abort)
    begun = await upload.begin()
    entries = await look.journal.undo(UNDO_S)
    return MultipartUploadsFacts(
        begun=begun.model_copy(update={"body": ""}) if begun.status == 200 else begun,
        has_id=bool(upload.id),
        nameless=upload.nameless,
        aborted=upload.aborted,
        entries=entries,
        leftovers=tuple(f"the {e.kind} {e.name} may be open still" for e in entries if not e.removed),
    )


@check(hop="artifacts/multipart")
def uploads_in_parts_can_be_begun(facts: MultipartUploadsFacts, versions: VersionsFacts | None) -> Sentence:
    """An upload in parts can be begun through the gateway, and given up; that parts arrive is not tried."""
    if facts.not_supported:
        return NotApplicable(reason=f"MLflow's artifact store takes none: {said(facts.begun)}")
    if says_no_route(facts.begun) and not knows_route(versions):
        return CannotTell(reason=f"whether this MLflow has the route is not known: {said(facts.begun)}")
    if facts.nameless:
        return None
    if not facts.has_id:
        return Wrong(reason=f"beginning an upload: {said(facts.begun)}", reproduce=facts.begun.curl())
    if facts.aborted is None or not is_gone(facts.aborted):
        gave_up = said(facts.aborted) if facts.aborted else "not tried"
        return Wrong(reason=f"giving up an upload that was begun: {gave_up}")
    return None


def knows_route(versions: VersionsFacts | None) -> bool:
    """Whether the server is of a version that certainly has the routes for uploads in parts."""
    return versions is not None and at_least(versions.server, _KNOWN_SINCE)
