"""Projects: documents with their trees of versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import ValidationError

from partimento.errors import MusicError
from partimento.server.documents import ScoreDocument, score_of
from partimento.server.routes.shared import PROBLEMS, ServiceOf, missing
from partimento.server.schemas import (
    ProjectAnswer,
    ProjectChange,
    ProjectRequest,
    VersionAnswer,
    VersionChange,
    VersionRequest,
)
from partimento.server.service import Service
from partimento.server.store import Project, Version

__all__ = [
    "change",
    "create",
    "delete",
    "mark",
    "project",
    "projects",
    "restore",
    "router",
    "save",
    "version",
]

router = APIRouter(prefix="/v1/projects", tags=["projects"], responses=PROBLEMS)

Id = Annotated[str, Path(max_length=64)]


def _version(version: Version) -> VersionAnswer:
    return VersionAnswer(**version.__dict__)


def _answer(project: Project, service: Service) -> ProjectAnswer:
    versions = [_version(version) for version in service.store.versions(project.id)]
    return ProjectAnswer(**project.__dict__, versions=versions)


def _found(project_id: str, service: Service) -> Project:
    project = service.store.project(project_id)
    if project is None:
        raise missing("project")
    return project


@router.get("")
def projects(service: ServiceOf) -> list[ProjectAnswer]:
    """Return all projects, the newest first."""
    return [_answer(project, service) for project in service.store.projects()]


@router.post("", status_code=201)
def create(request: ProjectRequest, service: ServiceOf) -> ProjectAnswer:
    """Make an empty project."""
    return _answer(service.store.create(request.name), service)


@router.get("/{project_id}")
def project(project_id: Id, service: ServiceOf) -> ProjectAnswer:
    """Return a project and the tree of its versions."""
    return _answer(_found(project_id, service), service)


@router.patch("/{project_id}")
def change(project_id: Id, request: ProjectChange, service: ServiceOf) -> ProjectAnswer:
    """Rename a project, or move its head (undo and redo)."""
    found = _found(project_id, service)
    if request.head is not None:
        _document(project_id, request.head, service)
    service.store.change(
        found.id, name=request.name, head=request.head, is_deleted=request.is_deleted
    )
    return _answer(service.store.project(project_id) or found, service)


@router.delete("/{project_id}")
def delete(project_id: Id, service: ServiceOf) -> ProjectAnswer:
    """Delete a project; it can be brought back for 30 days (``is_deleted: false``)."""
    found = _found(project_id, service)
    answer = _answer(found, service)
    service.store.change(found.id, is_deleted=True)
    return answer


@router.post("/{project_id}/restore")
def restore(project_id: Id, service: ServiceOf) -> ProjectAnswer:
    """Bring a deleted project back."""
    service.store.change(project_id, is_deleted=False)
    return _answer(_found(project_id, service), service)


@router.post("/{project_id}/versions", status_code=201)
def save(project_id: Id, request: VersionRequest, service: ServiceOf) -> VersionAnswer:
    """Save a version; it is on the disk before the answer is sent."""
    found = _found(project_id, service)
    if request.parent is not None:
        _document(project_id, request.parent, service)
    score_of(request.document)  # what cannot be music is refused before it is saved
    text = request.document.model_dump_json()
    return _version(service.store.save(found.id, text, request.parent, request.label))


@router.get("/{project_id}/versions/{version_id}")
def version(project_id: Id, version_id: Id, service: ServiceOf) -> ScoreDocument:
    """Return the document of a version."""
    return _document(project_id, version_id, service)


@router.patch("/{project_id}/versions/{version_id}")
def mark(
    project_id: Id, version_id: Id, request: VersionChange, service: ServiceOf
) -> ProjectAnswer:
    """Make a version a favourite, or not."""
    found = _found(project_id, service)
    _document(project_id, version_id, service)
    service.store.mark(project_id, version_id, request.is_favourite)
    return _answer(found, service)


def _document(project_id: str, version_id: str, service: Service) -> ScoreDocument:
    text = service.store.document(project_id, version_id)
    if text is None:
        raise missing("version")
    try:
        return ScoreDocument.model_validate_json(text)
    except ValidationError:
        raise MusicError("this version was saved by a later program; update it") from None
