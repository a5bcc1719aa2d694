"""SAM 2 streamed a window at a time: equal to the package, causal, bounded, gated. Real code, tiny random network."""

import contextlib
import io
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from hydra import compose
from PIL import Image
from tiny_networks import CONFIGURATION, TINY_SAM2, tiny_sam2

from gcseg_ros.config import FoundationConfig, InputConfig, PropagationConfig, Sam2Config
from gcseg_ros.errors import UserError
from gcseg_ros.frames import CameraIntrinsics, Frame
from gcseg_ros.networks.runtime import Runtime
from gcseg_ros.networks.sam2 import build_sam2, fitting_configuration, load_sam2
from gcseg_ros.propagation import build_propagator
from gcseg_ros.propagation.sam2 import Sam2Propagator, build_sam2_propagator
from gcseg_ros.propagation.sam2_window import Sam2Window, Tracks, preprocessed
from gcseg_ros.state import Saved
from gcseg_ros.views import ViewBuilder

HEIGHT, WIDTH = 72, 96
CPU = Runtime.of(FoundationConfig(device="cpu"))


@pytest.fixture(scope="module")
def network():
    return tiny_sam2()


def video(count, objects=3, seed=0):
    """Pictures with moving discs, and per picture their masks (objects, H, W)."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    start, speed = rng.uniform(0.3, 0.7, (objects, 2)), rng.uniform(-0.006, 0.006, (objects, 2))
    ground = np.asarray(Image.fromarray(rng.integers(0, 90, (6, 8, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT)))
    pictures, masks = [], []
    for t in range(count):
        picture, discs = ground.copy(), []
        for k, (y, x) in enumerate(np.abs((start + speed * t) % 2 - 1) * (HEIGHT, WIDTH)):
            discs.append((v - y) ** 2 + (u - x) ** 2 < (7 + 4 * (k % 5)) ** 2)
            picture[discs[-1]] = np.array((250 - 25 * k, 60 + 20 * k, 90 * k)) % 256
        pictures.append(picture)
        masks.append(np.stack(discs))
    return pictures, masks


def by_window(window, pictures, ids, masks, encode=True):
    """Logits {id: (H, W)} of the frames after the first."""
    if encode:
        window.encode(pictures[0])
    window.prompt(ids, masks)
    found = []
    for picture in pictures[1:]:
        window.encode(picture)
        tracks = window.track((HEIGHT, WIDTH))
        found.append({id: logit.clone() for t in tracks for id, logit in zip(t.ids, t.logits)})
    return found


@torch.inference_mode()
def by_package(network, folder, pictures, ids, masks):
    """The same by sam2's init_state, add_new_mask and propagate_in_video."""
    for i, picture in enumerate(pictures):  # the package goes by the name, PIL by the content: PNG loses nothing
        Image.fromarray(picture).save(folder / f"{i:05d}.jpg", format="png")
    with contextlib.redirect_stderr(io.StringIO()):  # progress bars
        state = network.init_state(str(folder))
        for id, mask in zip(ids, masks):
            network.add_new_mask(state, 0, id, mask)
        result = network.propagate_in_video(state)
        return [dict(zip(ids, logits[:, 0].clone())) for _, ids, logits in result][1:]


def difference(ours, theirs):
    assert [list(frame) for frame in ours] == [list(frame) for frame in theirs]
    return max(float((frame[id] - other[id]).abs().max()) for frame, other in zip(ours, theirs) for id in frame)


def test_a_window_is_the_packages_own_to_the_bit(network, tmp_path):
    """A window of more frames than memory reaches back; then a short one, for which the video's length must be told."""
    pictures, masks = video(22)
    window = Sam2Window(network, CPU, objects_per_batch=1)
    one = by_window(window, pictures[:18], [10, 12], masks[0][::2])
    (tmp_path / "one").mkdir()
    theirs = by_package(network, tmp_path / "one", pictures[:18], [10, 12], masks[0][::2])
    assert difference(one, theirs) == 0
    apart = min(float((frame[10] - frame[12]).abs().max()) for frame in one)
    assert apart > 0.1, "objects differ, or equality says little"
    moved = float((one[0][10] - one[-1][10]).abs().max())
    assert moved > 0.1, "frames differ"

    (tmp_path / "two").mkdir()
    prompts = np.stack([(one[-1][10] > 0).numpy(), masks[17][1]])  # one as propagated, one new; 12 is gone
    two = by_window(window, pictures[17:], [10, 99], prompts, encode=False)
    window.length = 5
    told = by_window(window, pictures[17:], [10, 99], prompts)
    theirs = by_package(network, tmp_path / "two", pictures[17:], [10, 99], prompts)
    assert difference(told, theirs) == 0
    assert difference(two, theirs) > 0, "the package lets the length of the video, its future, into the first frames"


def test_objects_in_one_batch_do_not_see_each_other(network):
    pictures, masks = video(6, objects=5)
    alone = by_window(Sam2Window(network, CPU, objects_per_batch=1), pictures, [1, 2, 3, 4, 5], masks[0])
    together = by_window(Sam2Window(network, CPU, objects_per_batch=4), pictures, [1, 2, 3, 4, 5], masks[0])
    largest = max(float(logit.abs().max()) for frame in alone for logit in frame.values())
    assert difference(alone, together) < 0.02 * largest  # memories are kept in bfloat16: rounding is amplified


def test_pictures_are_read_as_the_package_reads_them(tmp_path):
    from sam2.utils.misc import load_video_frames

    pictures, _ = video(1)
    Image.fromarray(pictures[0]).save(tmp_path / "00000.jpg", format="png")
    theirs, _, _ = load_video_frames(str(tmp_path), 128, offload_video_to_cpu=True)
    assert torch.equal(preprocessed(pictures[0], 128)[0], theirs[0])


def test_an_object_that_is_given_up_changes_nothing_for_the_others(network):
    pictures, masks = video(9)
    for batch in (1, 3):
        whole = by_window(Sam2Window(network, CPU, objects_per_batch=batch), pictures, [1, 2, 3], masks[0])
        window = Sam2Window(network, CPU, objects_per_batch=batch)
        before = by_window(window, pictures[:6], [1, 2, 3], masks[0])
        bytes_before = window.tensors()[1]
        window.give_up({2})
        assert window.ids == [1, 3]
        assert window.tensors()[1] == pytest.approx(bytes_before * 2 / 3, rel=0.1)
        after = []
        for picture in pictures[6:]:
            window.encode(picture)
            tracks = window.track((HEIGHT, WIDTH))
            after.append({id: logit for t in tracks for id, logit in zip(t.ids, t.logits)})
        expected = [{id: frame[id] for id in (1, 3)} for frame in whole[5:]]
        assert difference(before, whole[:5]) == 0
        largest = max(float(logit.abs().max()) for frame in expected for logit in frame.values())
        assert difference(after, expected) <= (0 if batch == 1 else 0.02 * largest)


def test_what_is_kept_does_not_grow_with_the_window(network):
    pictures, masks = video(20, objects=1)
    window, kept = Sam2Window(network, CPU), []
    window.encode(pictures[0])
    window.prompt([1], masks[0])
    for picture in pictures[1:]:
        window.encode(picture)
        window.track((HEIGHT, WIDTH))
        kept.append(window.tensors())
    assert kept[17] == kept[-1]
    window.prompt([], masks[0][:0])
    assert window.tensors() == (0, 0)


def test_a_compiled_encoder_gives_the_same(network, monkeypatch):
    """Traced, not translated to machine code: that takes minutes."""
    compiled = []
    trace = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f: compiled.append(f) or trace(f, backend="eager"))
    pictures, masks = video(2)
    other = tiny_sam2()
    Runtime.of(FoundationConfig(device="cpu", compile=True)).place(other, other.image_encoder, other.image_size)
    ours, theirs = (by_window(Sam2Window(n, CPU), pictures, [1], masks[0][:1]) for n in (other, network))
    assert len(compiled) == 1
    assert difference(ours, theirs) < 1e-4


def test_where_nothing_can_be_compiled_encoders_stay_as_they_are(monkeypatch, caplog):
    def without_compiler(graph, examples):
        raise RuntimeError("No working C++ compiler found")

    trace = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f: trace(f, backend=without_compiler))
    encoder, picture = torch.nn.Conv2d(3, 2, 4), torch.ones(1, 3, 8, 8)
    expected = encoder(picture)
    Runtime.of(FoundationConfig(device="cpu", compile=True)).place(encoder, encoder, 8)
    assert "cannot be compiled here (" in caplog.text
    assert "No working C++ compiler found" in caplog.text
    assert torch.equal(encoder(picture), expected)


# -- the propagator ---------------------------------------------------------------------------------------------------


def views(pictures):
    camera, build = CameraIntrinsics(WIDTH, HEIGHT, 90, 90, 47.5, 35.5), ViewBuilder(InputConfig(working_width_px=96))
    depth = np.full((HEIGHT, WIDTH), 2, np.float32)
    frames = (Frame(str(i), i / 30, picture, depth, camera, np.eye(4)) for i, picture in enumerate(pictures))
    return [build(frame) for frame in frames]


def labels_of(masks, ids):
    labels = np.zeros(masks.shape[1:], np.int32)
    for id, mask in zip(ids, masks):
        labels[mask] = id
    return labels


def propagator(network, **changes):
    return Sam2Propagator(Sam2Config(**{"min_object_px": 5, "max_growth": 1e9, **changes}), network, CPU)


def test_labels_are_the_highest_of_the_positive_logits(network):
    pictures, masks = video(5)
    seen, ours = views(pictures), propagator(network)
    assert (ours(seen[0]) == 0).all(), "nothing before the first prompt"
    assert ours.window.encoding is None, "and nothing is computed"
    labels = labels_of(masks[0], [7, 300, 9])
    ours.prompt(seen[0], labels)
    found = [ours(view) for view in seen[1:]]
    ids = [id for id in (7, 9, 300) if (labels == id).sum() >= 5]
    prompts = np.stack([labels == id for id in ids])
    for labels, logits in zip(found, by_window(Sam2Window(network, CPU), pictures, ids, prompts)):
        stacked = torch.stack([logits[id] for id in ids])
        expected = np.where(stacked.max(0).values.numpy() > 0, np.array(ids)[stacked.argmax(0).numpy()], 0)
        np.testing.assert_array_equal(labels, expected)
        assert labels.dtype == np.int32
    assert len(np.unique(found)) > 2


def test_a_later_frame_changes_nothing_before_it(network):
    pictures, masks = video(7, objects=2)
    other = [*pictures[:5], *(255 - picture for picture in pictures[5:])]
    found = []
    for shown in (pictures, other):
        seen, ours = views(shown), propagator(network)
        ours.prompt(seen[0], labels_of(masks[0], [1, 2]))
        labels = []
        for t, view in enumerate(seen[1:], 1):
            labels.append(ours(view))
            if t == 3:
                ours.prompt(view, labels_of(masks[t], [1, 4]))
        found.append(labels)
    np.testing.assert_array_equal(found[0][:4], found[1][:4])
    assert any((a != b).any() for a, b in zip(found[0][4:], found[1][4:]))


def test_a_keyframe_is_encoded_once(network, monkeypatch):
    pictures, masks = video(3)
    seen, ours, encoded = views(pictures), propagator(network), []
    encode = ours.window.encode
    monkeypatch.setattr(ours.window, "encode", lambda picture: encoded.append(1) or encode(picture))
    ours.prompt(seen[0], labels_of(masks[0], [1, 2, 3]))
    ours(seen[1])
    ours.prompt(seen[1], labels_of(masks[1], [1, 2, 3]))
    assert len(encoded) == 2


class Told:
    """A window whose tracks are told."""

    def __init__(self, frames):
        self.frames, self.groups, self.runtime, self.gone = iter(frames), [True], CPU, set()

    def encode(self, picture): ...

    def prompt(self, ids, masks): ...

    def track(self, shape):
        return [t for t in next(self.frames) if t.ids[0] not in self.gone]

    def give_up(self, ids):
        self.gone |= ids


def told(id, rows, score=1.0, shape=(HEIGHT, WIDTH)):
    logits = torch.full((1, *shape), -1.0)
    logits[0, :rows] = 1.0 + id
    return Tracks([id], logits, [score])


def test_lost_objects_do_not_flood_the_image_and_are_given_up(network):
    pictures, _ = video(7)
    seen, ours = views(pictures), propagator(network, max_growth=2.0, patience=3)
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[:10], labels[20:30] = 1, 2
    frames = [
        [told(1, 10), told(2, 5)],
        [told(1, 18), told(2, HEIGHT)],  # 1 grows as it may, 2 floods
        [told(1, 30), told(2, HEIGHT, score=-1.0)],  # within twice and one percent; absent
        [told(1, 5, score=-0.1), told(2, HEIGHT)],  # 1 is hidden, 2 is lost for the third time
        [told(1, 30), told(2, 5)],  # 1 is back, 2 was given up
    ]
    ours.window = Told(frames)
    ours.prompt(seen[0], labels)
    found = [[int((labels == id).sum()) // WIDTH for id in (1, 2)] for labels in map(ours, seen[1:6])]
    assert found == [[5, 5], [18, 0], [30, 0], [0, 0], [30, 0]]
    assert ours.window.gone == {2}


def test_masks_end_where_depth_does_and_what_has_little_depth_is_followed(network):
    """A television: depth is known at its frame only, there it is prompted, and SAM 2 follows all of it."""
    pictures, _ = video(7)
    ours = propagator(network, max_growth=2.0, patience=3)
    depth = np.full((HEIGHT, WIDTH), 2, np.float32)
    depth[2:40] = 0
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[:42] = np.where(depth[:42] > 0, 7, 0)
    seen = [replace(view, depth_m=depth) for view in views(pictures)]
    ours.window = Told([[told(7, 42)]] * 6)
    ours.prompt(seen[0], labels)
    for view in seen[1:]:
        np.testing.assert_array_equal(ours(view), labels)


def test_a_window_whose_images_were_turned_otherwise_is_not_gone_on_with(network):
    """A map is gone on with by a camera that hangs upside down: the sizes are the same."""
    pictures, masks = video(3)
    seen, ours, resumed = views(pictures), propagator(network), propagator(network)
    ours.prompt(seen[0], labels_of(masks[0], [1, 2, 3]))
    resumed.restore(Saved("propagation", 3, ours.state()))
    assert resumed(seen[1]).any()
    assert not resumed(replace(seen[2], quarters=2)).any()
    assert resumed(seen[2]).any()


def test_small_objects_and_other_sizes_of_pictures(network):
    pictures, _ = video(2)
    seen, ours = views(pictures), propagator(network, min_object_px=20)
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[0, :19], labels[10:14, :5] = 1, 2
    ours.prompt(seen[0], labels)
    assert ours.window.ids == [2]
    camera = CameraIntrinsics(64, 48, 60, 60, 31.5, 23.5)
    depth = np.full((48, 64), 2, np.float32)
    view = ViewBuilder(InputConfig(working_width_px=64))(
        Frame("x", 0, pictures[0][:48, :64].copy(), depth, camera, np.eye(4))
    )
    assert ours(view).shape == (48, 64)
    assert (ours(view) == 0).all()
    ours.prompt(seen[1], np.zeros_like(labels))
    assert (ours(seen[1]) == 0).all()


def test_a_full_gpu_halves_the_objects_at_once(network, caplog):
    pictures, masks = video(6, objects=4)
    window = Sam2Window(network, CPU, objects_per_batch=4)
    step, limit = window._step, 4

    def limited(count, *arguments):
        if count > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return step(count, *arguments)

    window._step = limited
    window.encode(pictures[0])
    window.prompt([1, 2, 3, 4], masks[0])
    window.encode(pictures[1])
    window.track((HEIGHT, WIDTH))
    limit = 2
    window.encode(pictures[2])
    tracks = window.track((HEIGHT, WIDTH))
    assert [t.ids for t in tracks] == [[1, 2], [3, 4]]
    assert "going on with half of propagation.sam2.objects_per_batch" in caplog.text
    limit = 1
    with pytest.raises(UserError, match=r"also with half.*lower propagation\.sam2\.objects_per_batch"):
        window.track((HEIGHT, WIDTH))


@pytest.mark.parametrize(("fails", "where"), [(0, "_step"), (2, "_step"), (2, "_entry"), (2, "_tracks")])
def test_a_full_gpu_costs_the_next_window_frame_and_nothing_before_it(network, fails, where):
    """The keyframe can be finished, and a frame that failed can be asked for again."""
    pictures, masks = video(4)
    seen, labels = views(pictures), labels_of(masks[0], [1, 2, 3])
    expected, ours = propagator(network), propagator(network)
    work, full = getattr(ours.window, where), False

    def limited(*arguments):
        if full:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return work(*arguments)

    setattr(ours.window, where, limited)
    expected.prompt(seen[0], labels)
    for i in range(4):
        full = i == fails
        if i == 0:
            ours.prompt(seen[0], labels)
            continue
        if full or fails == 0:
            with pytest.raises(UserError, match="memory is full"):
                ours(seen[i])
            full = False
        if fails == 0:
            assert ours.state() == {}
            assert not ours(seen[i]).any(), "told once; a live map goes on without a window"
            ours.prompt(seen[0], labels)
            fails = None
        np.testing.assert_array_equal(ours(seen[i]), expected(seen[i]))


def test_a_memory_that_is_full_elsewhere_is_one_sentence_too(network, monkeypatch):
    pictures, masks = video(2)
    seen, ours = views(pictures), propagator(network)
    ours.prompt(seen[0], labels_of(masks[0], [1, 2, 3]))
    state = Saved("here", 3, ours.state())
    monkeypatch.setattr(network, "forward_image", lambda _: torch.empty(1 << 58))
    with pytest.raises(UserError, match="memory is too small for SAM 2 and these objects"):
        ours(seen[1])
    monkeypatch.undo()
    monkeypatch.setattr(torch, "from_numpy", lambda _: torch.empty(1 << 58))
    with pytest.raises(UserError, match="memory is too small for SAM 2 and these objects"):
        propagator(network).restore(state)


def test_of_each_batch_only_what_is_remembered_is_held(network):
    """The network's answers, with masks of its own size, would make the memory of a frame grow with the objects in view."""
    pictures, masks = video(2, objects=4)
    window, answers, held = Sam2Window(network, CPU, objects_per_batch=1), [], []
    step = window._step

    def counted(*arguments):
        held.append(sum(answer() is not None for answer in answers))
        result = step(*arguments)
        answers.append(weakref.ref(result["pred_masks_high_res"]))
        return result

    window.encode(pictures[0])
    window.prompt([1, 2, 3, 4], masks[0])
    window.encode(pictures[1])
    window._step = counted
    window.track((HEIGHT, WIDTH))
    assert held == [0, 0, 0, 0]


@pytest.mark.parametrize("change", ["weights", "image_size"])
def test_the_window_of_another_network_is_not_gone_on_with(network, change):
    pictures, masks = video(2)
    seen, ours = views(pictures), propagator(network)
    ours.prompt(seen[0], labels_of(masks[0], [1, 2, 3]))
    state = Saved("here", 3, ours.state())
    same = propagator(network)
    same.restore(state)
    assert same.window.ids == ours.window.ids == [1, 2, 3]
    overrides = TINY_SAM2.replace("image_size=128", "image_size=160") if change == "image_size" else TINY_SAM2
    other = build_sam2(CONFIGURATION, tuple(overrides.split())).eval()
    if change == "image_size":
        other.load_state_dict(network.state_dict())
    fresh = propagator(other)
    fresh.restore(state)
    assert fresh.window.ids == []
    assert (fresh(seen[1]) == 0).all(), "until the next prompt"


# -- files ------------------------------------------------------------------------------------------------------------


def test_weights_and_configuration(network, tmp_path, monkeypatch):
    monkeypatch.setenv("GCSEG_WEIGHTS_DIR", str(tmp_path))
    file = tmp_path / "tiny.pt"
    torch.save({"model": network.state_dict()}, file)
    cpu = FoundationConfig(device="cpu")
    config = Sam2Config(weights=str(file), configuration=CONFIGURATION, overrides=TINY_SAM2)
    loaded = build_sam2_propagator(config, cpu)
    for name, value in loaded.window.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])
    assert load_sam2(str(file), CONFIGURATION, TINY_SAM2, cpu, CPU) is loaded.window.network, "one copy in memory"
    for changes, says in (
        ({"weights": "sam2.1-tiny"}, "gcseg weights fetch sam2.1-tiny"),
        ({"overrides": ""}, r"no checkpoint of SAM 2 with the configuration .*hiera_t"),
        ({"configuration": None}, "known by its shape: name its configuration"),
        ({"configuration": "configs/none.yaml"}, "cannot build the configuration"),
        ({"overrides": "image_size"}, "written name=value"),
        ({"overrides": "_target_=os.system"}, "written name=value"),
        ({"overrides": f"{TINY_SAM2} non_overlap_masks_for_mem_enc=true"}, "leave it out of propagation"),
        *(
            ({"overrides": f"{TINY_SAM2} image_size={side}"}, rf"multiple of 32 pixels, .*found 'image_size={side}'")
            for side in ("100", "120", "0", "-5", "abc")
        ),
    ):
        with pytest.raises(UserError, match=says):
            build_sam2_propagator(config.model_copy(update=changes), cpu)


@pytest.mark.parametrize("version", ["sam2", "sam2.1"])
@pytest.mark.parametrize("size", ["t", "s", "b+", "l"])
def test_the_configuration_is_found_by_the_shape_of_the_parameters(version, size, tmp_path):
    pytest.importorskip("sam2")  # tells Hydra where its configurations are
    name = f"configs/{version}/{version}_hiera_{size}.yaml"
    model = compose(config_name=name).model
    trunk = model.image_encoder.trunk
    state = {"image_encoder.trunk.patch_embed.proj.weight": torch.empty(trunk.embed_dim, 3, 7, 7)}
    blocks = range(sum(trunk.get("stages", (2, 3, 16, 3))))  # the default of Hiera
    state |= {f"image_encoder.trunk.blocks.{i}.norm1.weight": torch.empty(1) for i in blocks}
    state |= {"no_obj_embed_spatial": torch.empty(1)} if model.get("no_obj_embed_spatial") else {}
    assert fitting_configuration(state, tmp_path) == name


@pytest.mark.parametrize("package", ["torch", "torchvision", "sam2"])
def test_a_missing_package(package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else name)
    with pytest.raises(UserError, match=f"propagation.method=sam2 needs the package {package}, .* pip install"):
        build_propagator(PropagationConfig(method="sam2"), FoundationConfig())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_follows_the_same_objects():
    pictures, masks = video(4)
    found = {}
    for device in ("cpu", "cuda"):
        runtime = Runtime.of(FoundationConfig(device=device, precision="float32"))
        network = tiny_sam2()
        runtime.place(network, network.image_encoder, network.image_size)
        window = Sam2Window(network, runtime, objects_per_batch=2)
        frames = by_window(window, pictures, [1, 2, 3], masks[0])
        found[device] = torch.stack([logit.float().cpu() for frame in frames for _, logit in sorted(frame.items())])
    difference = (found["cpu"] - found["cuda"]).abs().mean() / found["cpu"].abs().mean()
    assert float(difference) < 0.02  # tf32
