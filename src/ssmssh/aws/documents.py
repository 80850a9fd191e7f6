"""Session documents of an account and region: ListDocuments, DescribeDocument, GetDocument, CreateDocument.

They are not among the operations that `ssmssh.aws.loader` keeps for sessions: a client for them is made without kept
data (`AwsSettings.data_cache`).
"""

from collections.abc import Iterator

from ssmssh.aws.pages import Item, Pager

DOCUMENTS_PER_PAGE = 50
"""What ListDocuments gives at most (its reference)."""

_MISSING = ("InvalidDocument",)


def list_documents(pager: Pager, *, is_own: bool) -> Iterator[list[Item]]:
    """Pages of session documents: the account's own, or those of others, too (AWS's, shared ones). Blocks for each.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    filters = [{"Key": "DocumentType", "Values": ["Session"]}]
    filters += [{"Key": "Owner", "Values": ["Self"]}] if is_own else []
    return pager.pages(
        "ssm", "list_documents", "DocumentIdentifiers", "list the session documents",
        Filters=filters, MaxResults=DOCUMENTS_PER_PAGE,
    )  # fmt: skip


def describe_document(pager: Pager, name: str) -> Item | None:
    """What is known about a document: owner, versions, status; None if there is none of that name. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    answer = pager.call("ssm", "describe_document", f"look at the document {name}", missing=_MISSING, Name=name)
    found: Item | None = answer.get("Document")
    return found


def document_content(pager: Pager, name: str) -> str | None:
    """The JSON of a document's default version; None if there is none of that name. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    answer = pager.call(
        "ssm", "get_document", f"read the document {name}", missing=_MISSING, Name=name, DocumentFormat="JSON"
    )
    return str(answer["Content"]) if "Content" in answer else None


def accounts_shared_with(pager: Pager, name: str) -> list[str]:
    """The accounts that a document of one's own is shared with; ``all`` for everybody. Blocks.

    Raises:
        SsmsshError: Of the class for the reason.
    """
    answer = pager.call(
        "ssm", "describe_document_permission", f"see who shares the document {name}", Name=name, PermissionType="Share"
    )
    return sorted(answer.get("AccountIds", []))


def create_document(pager: Pager, name: str, content: str) -> None:
    """Make a session document. Blocks.

    Raises:
        UsageError: There is one of that name, or the service does not take the content.
        SsmsshError: Otherwise, of the class for the reason.
    """
    pager.call(
        "ssm", "create_document", f"make the document {name}",
        Name=name, Content=content, DocumentType="Session", DocumentFormat="JSON",
    )  # fmt: skip
