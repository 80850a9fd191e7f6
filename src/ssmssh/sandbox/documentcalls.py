"""Systems Manager's calls about session documents: those of AWS, the account's preferences, and what is created.

Documents of other types are moto's. A document belongs to an account and region; it has versions, of which the default
one is used by sessions. Of SSM-SessionManagerRunShell that is the latest: the User Guide changes preferences with
UpdateDocument alone ("Update Session Manager preferences (command line)").
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ssmssh.sandbox import documentcontent
from ssmssh.sandbox.accounts import Place
from ssmssh.sandbox.documents import DOCUMENTS, SHELL_DOCUMENT, Document, is_reserved
from ssmssh.sandbox.faults import FaultSet
from ssmssh.sandbox.jsoncall import JsonCall
from ssmssh.sandbox.pages import listing
from ssmssh.sandbox.refusals import ApiError

_SIZES = (1, 50)
_DEFAULT_SIZE = 5
"""Of a page of ListDocuments, by its documentation 50 at most; what it is without a word nobody says."""
_KEPT_VERSIONS = 1000


@dataclass(slots=True)
class _Versions:
    """A document's versions, from 1; the default one's number, and who may use it besides its account."""

    documents: list[Document]
    default: int = 1
    created_at: float = field(default_factory=time.time)
    shared_with: list[str] = field(default_factory=list)

    @property
    def latest(self) -> int:
        return len(self.documents)


class DocumentCalls:
    """The answers. `preferences` is the content of SSM-SessionManagerRunShell everywhere; empty: it sets nothing."""

    def __init__(self, faults: FaultSet, preferences: str) -> None:
        self._faults = faults
        self._preferences = documentcontent.read(SHELL_DOCUMENT, preferences) if preferences else None
        self._stores: dict[Place, dict[str, _Versions]] = {}
        self._everywhere: dict[str, Document] = {}

    def put(self, document: Document) -> None:
        """Have a document in every account and region, in place of one of that name."""
        self._everywhere[document.name] = document
        for store in self._stores.values():
            store[document.name] = _Versions([document])

    def remove(self, name: str) -> None:
        """Have it nowhere any more."""
        self._everywhere.pop(name, None)
        for store in self._stores.values():
            store.pop(name, None)

    def find(self, place: Place, name: str) -> Document:
        """The document that a session of this name is started with; may be named by its ARN.

        Raises:
            ApiError: There is none.
        """
        versions = self._find(place, name)
        return versions.documents[versions.default - 1]

    def preferences(self, place: Place) -> Mapping[str, object]:
        """The account's, in the region: the inputs of SSM-SessionManagerRunShell, if there is one."""
        versions = self._store(place).get(SHELL_DOCUMENT)
        return (versions.documents[-1].inputs or {}) if versions is not None else {}

    def knows(self, call: JsonCall) -> bool:
        """Whether a call about documents is for us, and not for moto."""
        if call.operation == "CreateDocument":
            return call.arguments.get("DocumentType") == "Session"
        if call.operation == "ListDocuments":
            return "Session" in _wanted_types(call)
        name = call.arguments.get("Name")
        return isinstance(name, str) and _short(name) in (SHELL_DOCUMENT, *self._store(call.place))

    async def create_document(self, call: JsonCall) -> object:
        """``CreateDocument``, of type Session."""
        name = call.text("Name")
        if is_reserved(name):
            raise ApiError("ValidationException", f"The name {name} begins with a prefix that AWS has reserved.")
        store = self._store(call.place)
        if name in store:
            raise ApiError("DocumentAlreadyExists", f"Document with name {name} already exists")
        if call.arguments.get("DocumentFormat", "JSON") != "JSON":
            raise ApiError("InvalidDocumentContent", "The sandbox reads session documents in JSON only.")
        store[name] = _Versions([documentcontent.read(name, call.text("Content"))])
        return {"DocumentDescription": self._describe(call, store[name], 1)}

    async def update_document(self, call: JsonCall) -> object:
        """``UpdateDocument``: another version, which is the default one only of the preferences."""
        versions = self._own(call)
        document = documentcontent.read(versions.documents[0].name, call.text("Content"))
        if any(document.content() == each.content() for each in versions.documents):
            raise ApiError(
                "DuplicateDocumentContent", "The content of the association document matches another document."
            )
        if versions.latest >= _KEPT_VERSIONS:
            raise ApiError("DocumentVersionLimitExceeded", f"A document has at most {_KEPT_VERSIONS} versions.")
        versions.documents.append(document)
        if document.name == SHELL_DOCUMENT:
            versions.default = versions.latest
        return {"DocumentDescription": self._describe(call, versions, versions.latest)}

    async def update_document_default_version(self, call: JsonCall) -> object:
        """``UpdateDocumentDefaultVersion``."""
        versions = self._own(call)
        versions.default = _number(versions, call.text("DocumentVersion"))
        name = versions.documents[0].name
        return {"Description": {"Name": name, "DefaultVersion": str(versions.default)}}

    async def delete_document(self, call: JsonCall) -> object:
        """``DeleteDocument``; without the preferences, sessions have the defaults."""
        self._own(call)
        del self._store(call.place)[_short(call.text("Name"))]
        return {}

    async def describe_document(self, call: JsonCall) -> object:
        """``DescribeDocument``."""
        versions = self._find(call.place, call.text("Name"))
        return {"Document": self._describe(call, versions, _number(versions, call.text("DocumentVersion", "")))}

    async def get_document(self, call: JsonCall) -> object:
        """``GetDocument``."""
        versions = self._find(call.place, call.text("Name"))
        number = _number(versions, call.text("DocumentVersion", ""))
        document = versions.documents[number - 1]
        return {
            "Name": document.name,
            "Status": "Active",
            "DocumentVersion": str(number),
            "DocumentType": "Session",
            "DocumentFormat": "JSON",
            "Content": document.content(),
            "CreatedDate": versions.created_at,
        }

    async def list_documents(self, call: JsonCall) -> object:
        """``ListDocuments`` of type Session: AWS's and the account's, by name."""
        found = sorted(self._store(call.place).items())
        for key, values in _filters(call):
            if key == "Owner":
                owners = {{"Self": "self", "Private": "self"}.get(each, each) for each in values}
                found = [each for each in found if "All" in owners or each[1].documents[0].owner in owners]
            elif key == "Name":
                found = [each for each in found if any(each[0].startswith(value) for value in values)]
            elif key != "DocumentType":
                raise ApiError("InvalidFilterKey", f"The sandbox does not know the filter {key}.")
        rows = []
        for _, versions in found:
            row = self._describe(call, versions, versions.default)
            kept = (
                "Name",
                "Owner",
                "PlatformTypes",
                "DocumentVersion",
                "DocumentType",
                "SchemaVersion",
                "DocumentFormat",
            )
            rows.append({name: row[name] for name in (*kept, "CreatedDate", "Tags") if name in row})
        return listing("DocumentIdentifiers", call.page(rows, _SIZES, _DEFAULT_SIZE, self._faults))

    async def list_document_versions(self, call: JsonCall) -> object:
        """``ListDocumentVersions``, the latest first."""
        versions = self._find(call.place, call.text("Name"))
        rows = [
            {
                "Name": versions.documents[0].name,
                "DocumentVersion": str(number),
                "CreatedDate": versions.created_at,
                "IsDefaultVersion": number == versions.default,
                "DocumentFormat": "JSON",
                "Status": "Active",
            }
            for number in range(versions.latest, 0, -1)
        ]
        return listing("DocumentVersions", call.page(rows, _SIZES, _SIZES[1], self._faults))

    async def describe_document_permission(self, call: JsonCall) -> object:
        """``DescribeDocumentPermission``: which accounts may use it, too."""
        shared = self._own(call).shared_with
        infos = [{"AccountId": each, "SharedDocumentVersion": "$DEFAULT"} for each in shared]
        return {"AccountIds": shared, "AccountSharingInfoList": infos}

    async def modify_document_permission(self, call: JsonCall) -> object:
        """``ModifyDocumentPermission``: it is shown; the other account does not find the document by that."""
        versions = self._own(call)
        added, removed = (_texts(call, f"AccountIdsTo{verb}") for verb in ("Add", "Remove"))
        kept = [each for each in versions.shared_with if each not in removed]
        versions.shared_with = list(dict.fromkeys([*kept, *added]))
        return {}

    def _describe(self, call: JsonCall, versions: _Versions, number: int) -> dict[str, object]:
        document = versions.documents[number - 1]
        row = document.describe(call.place.account_id, number, versions.default, versions.latest)
        return row | {"CreatedDate": versions.created_at}

    def _store(self, place: Place) -> dict[str, _Versions]:
        if place not in self._stores:
            given = {SHELL_DOCUMENT: self._preferences} if self._preferences is not None else {}
            documents: Mapping[str, Document] = {**DOCUMENTS, **given, **self._everywhere}
            self._stores[place] = {name: _Versions([document]) for name, document in documents.items()}
        return self._stores[place]

    def _find(self, place: Place, name: str) -> _Versions:
        versions = self._store(place).get(_short(name))
        if versions is None:
            raise ApiError("InvalidDocument", f"Document with name {name} does not exist.")
        return versions

    def _own(self, call: JsonCall) -> _Versions:
        versions = self._find(call.place, call.text("Name"))
        if versions.documents[0].owner != "self":
            raise ApiError("InvalidDocumentOperation", f"The document {call.text('Name')} is owned by Amazon.")
        return versions


def _short(name: str) -> str:
    """The name of a document, which may be given as an ARN."""
    return name.rpartition(":document/")[2]


def _number(versions: _Versions, text: str) -> int:
    if text in ("", "$DEFAULT"):
        return versions.default
    number = versions.latest if text == "$LATEST" else int(text) if text.isdigit() else 0
    if not 1 <= number <= versions.latest:
        raise ApiError("InvalidDocumentVersion", f"The document version {text} is not valid or does not exist.")
    return number


def _filters(call: JsonCall) -> list[tuple[str, list[str]]]:
    """The filters of ListDocuments, in either of the two forms that there are."""
    found = [(str(each.get("key")), [str(each.get("value"))]) for each in call.mappings("DocumentFilterList")]
    for each in call.mappings("Filters"):
        values = each.get("Values")
        found.append((str(each.get("Key")), [str(value) for value in values] if isinstance(values, list) else []))
    return found


def _wanted_types(call: JsonCall) -> Sequence[str]:
    return [value for key, values in _filters(call) if key == "DocumentType" for value in values]


def _texts(call: JsonCall, name: str) -> list[str]:
    given = call.arguments.get(name) or []
    return [str(each) for each in given] if isinstance(given, list) else []
