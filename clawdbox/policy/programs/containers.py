"""Containers and clusters."""

from clawdbox.policy.model import Class, Finding, Word
from clawdbox.policy.rule import Call, Given, Style, parsed, sort
from clawdbox.policy.table import table
from clawdbox.policy.variables import says_only
from clawdbox.policy.weigh import reading, unknown, writing

_TABLE = """
== shared

@list:
  -aqsl -n= -f= --all --quiet --size --latest --no-trunc --filter= --format= --last= --digests --tree

@logs:
  -ft -n= --tail= --since= --until= --timestamps --details --follow --no-log-prefix --no-color

@kube:
  -wA -L= -n= -o= -l= -c= --all-namespaces --namespace= --output= --selector= --no-headers --show-labels --sort-by=
  --field-selector= --watch --containers --context=

== read

docker ps|ls|list|images: lists containers or images
  takes text
  @list

docker container|image ls|list|ps: lists containers or images
  takes text
  @list

docker logs: shows logs
  takes text
  @logs

docker container|service logs: shows logs
  takes text
  @logs

docker inspect: shows the settings of containers
  takes text, credentials
  -s -f= --format= --size --type=

docker container|image inspect: shows the settings of containers
  takes text, credentials
  -s -f= --format= --size

docker stats: shows what containers use
  takes text
  needs --no-stream
  -a --all --no-stream --no-trunc --format=

docker top|port|diff: shows what a container does
  takes text, most 1

docker container top|port|diff: shows what a container does
  takes text, most 1

docker history: shows what images are made of
  takes text
  -Hq --no-trunc --format= --human

docker version|info: shows how it is set up
  -f= --format=

docker events: shows what happened
  needs --until
  -f= --filter= --format= --since= --until=

docker search: searches images
  takes text, egress
  -f= --filter= --limit= --no-trunc

docker network|volume|context|node|service|stack|plugin ls|list|ps|services|show: lists them
  takes text
  -qv --quiet --filter= --format= -f= --no-trunc

docker network|volume inspect: shows what they are
  takes text
  -v -f= --format=

docker system df|info: shows how full it is
  -v --verbose --format=

docker compose ps|images|top|ls|port|version: lists containers
  takes text
  starts docker-compose
  -aq --all --quiet --services --status= --filter= --format= --no-trunc --short

docker compose logs: shows logs
  takes text
  starts docker-compose
  @logs

docker compose config: shows the settings of containers
  takes text, credentials
  starts docker-compose
  -q --services --images --volumes --quiet

kubectl get|describe|top: shows objects of the cluster
  takes text
  check secrets
  @kube

kubectl logs: shows logs
  takes text
  -fp -c= -n= -l= --tail= --since= --previous --all-containers --timestamps --container= --namespace= --prefix

kubectl version|cluster-info|api-resources|api-versions|explain: asks about the cluster
  takes text
  --client --short --recursive

kubectl rollout status|history: shows a roll-out
  takes text
  -w -n= --namespace= --timeout= --watch

kubectl config get-contexts|current-context|get-clusters: lists contexts
  takes text

microk8s status: shows how it is

helm list|ls|status|history: lists releases
  takes text
  -Aaq -n= -o= --all-namespaces --namespace= --output=

crictl ps|images|pods|stats|info|logs: lists containers
  takes text
  -aq --tail=

lxc|incus list|ls|info: lists containers
  takes text
  -c= -f= --format=

virsh list|dominfo|domstate|nodeinfo|net-list|pool-list: lists machines
  takes text
  --all

== change

docker start|stop|restart|pause|unpause|kill|rename|update|wait: stops or starts containers
  takes text
  -t= -s= -m= --time= --timeout= --signal= --restart= --memory= --cpus=

docker container start|stop|restart|pause|unpause|kill|rename|update|wait: stops or starts containers
  takes text
  -t= -s= -m= --time= --timeout= --signal= --restart= --memory= --cpus=

docker cp: copies files into or out of a container
  takes text
  check carried
  -aLq --archive --follow-link --quiet

docker pull|push: fetches or sends an image
  takes text, egress
  -qa --quiet --platform= --all-tags

docker image pull|push: fetches or sends an image
  takes text, egress
  -qa --quiet --platform= --all-tags

docker tag: names an image
  takes text

docker network|volume create|connect|disconnect: makes or connects them
  takes text
  -d= --driver= --name= --label= --subnet= --gateway= --internal

docker service scale|update: changes a service
  takes text
  --force --image=

docker compose start|stop|restart|pause|unpause|kill: stops or starts containers
  takes text
  starts docker-compose
  -t= -s= --timeout= --no-deps

docker compose pull: fetches images
  takes text, egress
  starts docker-compose
  -q --quiet --ignore-pull-failures

docker compose down: removes containers
  takes text
  starts docker-compose
  -t= --timeout= --remove-orphans
  destructive -v --volumes --rmi=: removes containers and their data | What is removed, with the data in it, is gone.

kubectl rollout restart|undo|pause|resume: changes a roll-out
  takes text
  -n= --namespace= --to-revision=

kubectl scale: changes how many of them run
  takes text
  -n= --namespace= --replicas=

kubectl config use-context: goes to another cluster
  takes text

lxc|incus start|stop|restart: stops or starts containers
  takes text

virsh start|shutdown|reboot|suspend|resume: stops or starts machines
  takes text

== privileged

docker compose up|create|build|run: starts what a file says, with any rights
  takes text
  starts docker-compose
  -d -t= --detach --build --force-recreate --no-deps --remove-orphans --wait --pull= --no-build --scale= --timeout=
  --no-recreate --quiet-pull

kubectl apply|create|patch|edit|replace|set|label|annotate|expose|autoscale|taint|cordon|uncordon: changes the cluster
  takes text
  -f=read -n= -k= -p= -o= --filename=read --namespace= --dry-run=? --type= --patch= --overwrite --server-side

helm install|upgrade: changes the cluster
  takes text, egress
  -i -n= -f=read --install --namespace= --values=read --set= --wait --version=

== destructive

docker rm|rmi|remove: removes containers or images
  takes text, loose
  undo What is removed, with the data in it, is gone.

docker container|image|network|volume|system|builder|service|stack|node|secret|config|compose rm|prune|remove: removes them
  takes text, loose
  undo What is removed, with the data in it, is gone.

docker swarm leave|init|join: changes the swarm
  takes text, loose

kubectl delete: deletes objects of the cluster
  takes text, loose
  undo What is removed, with the data in it, is gone.

kubectl drain: empties a node
  takes text, loose
  undo What ran there is stopped.

helm uninstall|delete|rollback: removes or replaces releases
  takes text, loose
  undo What is removed, with the data in it, is gone.

crictl rm|rmi|rmp|stop|stopp: removes containers
  takes text, loose

lxc|incus delete: removes containers
  takes text, loose
  undo What is removed, with the data in it, is gone.

virsh destroy|undefine|vol-delete|snapshot-delete: stops or removes machines
  takes text, loose
  undo What is removed, with the data in it, is gone.

terraform|tofu destroy|apply|taint|import|state: changes or removes what it made
  takes text, loose
  undo What is removed, with the data in it, is gone.

== unknown

docker run|create|build|load|save|export|import|commit|login|attach: starts something with any rights, or moves data
  takes text, loose

docker container run|create|attach: starts something with any rights
  takes text, loose

kubectl run|debug|cp|port-forward|proxy|attach: starts something in the cluster
  takes text, loose

== alike

podman|nerdctl: as docker

docker-compose|podman-compose: as docker compose

k3s|microk8s kubectl: as kubectl

== before

docker:
  --log-level= -l=

docker compose:
  -p= -f=read --file=read --project-name= --project-directory= --profile= --ansi= --progress=

kubectl:
  -n= --namespace= --context=
"""


def _exec(call: Call) -> list[Finding]:
    """The program in the container is judged by its name, and its paths are those of the container."""
    known = parsed("-itT -e= -u= -w= --env= --user= --workdir= --interactive --tty", Style.LETTERS)
    given = sort(call.words, known, Style.LETTERS, stop=True)
    found = [Finding(Class.CHANGE, f"It runs a program in a container, with `{call.program} exec`.")]
    for text in given.values("-e", "--env"):
        name, _, value = text.partition("=")
        if not says_only(name, value):
            why = f"It sets the variable {name}, which may change what programs do."
            found.append(Finding(Class.UNKNOWN, why))
    if given.odd is not None or len(given.operands) < 2 or not given.operands[0].known:
        return [
            *found,
            unknown(f"{call.program} exec {given.odd or ''}".strip(), "in a way that the box does not know."),
        ]
    return found + call.inner(given.operands[1:])


def _carried(call: Call, given: Given) -> list[Finding]:
    """`docker cp name:/path here`: one of the two is on the server itself."""
    found: list[Finding] = []
    for at, word in enumerate(given.operands):
        inside, _, path = word.text.rpartition(":")
        here = Word(path, word.start, word.end, word.bare, word.glob, word.known)
        if at == 0:
            found += reading(here, call)
        elif not inside:
            found += writing(here, call)
    return found


def _secrets(_call: Call, given: Given) -> list[Finding]:
    kinds = {kind.partition("/")[0].lower() for word in given.operands for kind in word.text.split(",")}
    if any(kind.startswith("secret") for kind in kinds):
        return [Finding(Class.READ, "It shows secrets of the cluster.", secret="secrets of the cluster")]
    if any("file" in form for form in given.values("-o", "--output")):
        return [unknown("kubectl", "with a format that stands in a file.")]
    if kinds & {"configmap", "configmaps", "cm", "all"}:
        return [Finding(Class.READ, "It shows settings, in which passwords may stand.", credentials=True)]
    return []


CONTAINERS = table(
    _TABLE,
    {"secrets": _secrets, "carried": _carried},
    docker__exec=_exec,
    docker__container__exec=_exec,
    kubectl__exec=_exec,
)
