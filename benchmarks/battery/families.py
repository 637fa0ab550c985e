"""Which models there are, of which family, and which families are looked at.

Two thirds of the families are learned from. The others are measured and predicted once, for a release: nobody looks at
their errors while something is tuned. ``draw`` made the split, before anything was measured; the table keeps it.
``FRESH`` holds families of a later test, written when the held-out third had been read, ``STRANGERS`` those of the
next one, written when the fresh ones had been, ``NEWCOMERS`` those of the one after that, ``VISITORS`` those of the
one after the newcomers', ``GUESTS`` those of the one after the visitors', ``WILD`` those of the one after the guests':
not written for it, but drawn from public libraries, ``DRAWN`` and ``PICKED`` those of the two after that, drawn once
more each. Hosts have since been fitted to the latencies of strangers and newcomers, too.
"""

from __future__ import annotations

import random

FAMILIES: dict[str, tuple[str, ...]] = {
    "audio convolution": ("sequences:sound_encoder", "sequences:spectrogram_net"),
    "bert": ("library:roberta", "library:megatron_bert", "library:layoutlm", "library:esm"),
    "bicubic positions": ("library:vit_interpolated", "library:dino_interpolated"),
    "cell search space": ("convolutional:cell_of_convolutions", "convolutional:cell_of_poolings"),
    "channels-last": ("convolutional:resnet18_channels_last", "convolutional:pyramid_channels_last"),
    "controller": ("small:policy", "small:atari_critic"),
    "convbert": ("library:convbert",),
    "cross-attention": ("sequences:perceiver", "sequences:memory_readers"),
    "deberta": ("library:deberta",),
    "decoder with absolute positions": ("library:gpt_neo", "library:first_gpt", "library:xglm"),
    "decoder with rotary positions": (
        *("library:phi", "library:gemma", "library:falcon", "library:stablelm", "library:olmo2"),
    ),
    "decoding with a concatenated cache": ("sequences:decode_concatenated", "sequences:decode_concatenated_short"),
    "decoding with a static cache": ("sequences:decode_static", "sequences:decode_static_long"),
    "dense convolution": ("convolutional:densenet121", "convolutional:googlenet"),
    "depth and segmentation": ("library:depth", "library:segmenter", "convolutional:deeplab"),
    "detection heads": ("convolutional:retina_head", "convolutional:yolo", "convolutional:feature_pyramid"),
    "detection transformer": ("library:detr", "library:yolos"),
    "diffusion transformer": ("generative:diffusion_transformer",),
    "diffusion U-Net": ("generative:pixel_diffusion", "generative:latent_diffusion"),
    "dilated convolution": ("sequences:wavenet", "sequences:temporal_convolutions", "sequences:separable_speech"),
    "encoder and decoder": ("library:bart", "library:t5", "sequences:torch_translator"),
    "experts by index": ("sequences:experts_by_index", "library:switch"),
    "experts in grouped products": ("sequences:experts_grouped", "sequences:experts_dense", "library:mixtral"),
    "field": ("generative:radiance_field", "generative:fourier_operator"),
    "forecast": ("library:patch_forecast", "library:mixer_forecast", "small:residual_forecast"),
    "fourier mixing": ("library:fnet", "sequences:long_convolution"),
    "fused encoder": ("sequences:fused_encoder", "sequences:fused_encoder_padded", "sequences:unfused_encoder"),
    "generator": ("generative:convolutional_generator", "generative:style_generator"),
    "graph network": ("small:graph_convolutions", "small:graph_attention", "small:graph_isomorphism"),
    "image autoencoder": ("generative:image_autoencoder", "generative:vector_quantised"),
    "image and text": ("library:clip", "library:vilt"),
    "large patches": ("library:patches_of_32", "sequences:mixer_b32"),
    "linear attention": ("sequences:linear_attention",),
    "mixing MLP": ("sequences:gated_mlp",),
    "mobile convolution": (
        *("convolutional:mobilenet_v3", "convolutional:shufflenet_v2", "convolutional:ghostnet"),
        "library:mobilevit_v2",
    ),
    "modern convolution": ("library:focalnet", "library:convnext_v2"),
    "molecule": ("small:molecule",),
    "plain convolution": ("convolutional:alexnet", "convolutional:vgg11"),
    "point cloud": ("small:pointnet", "small:edge_convolutions"),
    "recommender": ("small:click_bags", "small:factorised", "small:two_towers"),
    "recurrent cells": (
        *("sequences:lstm_cells", "sequences:gru_cells", "sequences:written_out_cells"),
        "sequences:attentive_translator",
    ),
    "recurrent layers": ("sequences:two_way_lstm", "sequences:deep_gru"),
    "residual convolution": ("convolutional:resnet18", "convolutional:resnext50"),
    "speech": ("library:hubert", "library:conformer", "library:spectrogram_transformer", "library:speech_to_text"),
    "state space": ("sequences:selective_scan", "library:mamba", "library:mamba2"),
    "swin v2": ("library:swin_v2", "library:swin_v2_wide"),
    "table": ("small:table_transformer", "small:gated_table"),
    "tiny MLP": (
        *("small:mlp_of_two", "small:mlp_of_four", "small:normed_mlp", "small:autoencoder"),
        "small:lenet",
    ),
    "upscaling": ("convolutional:subpixel", "convolutional:dense_upscaler", "library:swin_upscaler"),
    "video": (
        "library:video_patches",
        "library:video_tubes",
        "convolutional:resnet3d",
        "convolutional:unet_of_two_plus_one",
    ),
    "vision transformer": ("library:deit", "library:beit", "library:ijepa", "library:siglip", "library:pvt"),
    "vocoder": ("sequences:vocoder",),
    "windowed attention": ("library:longformer",),
}
"""Family -> models, each "file:function" of this folder."""

FRESH: dict[str, tuple[str, ...]] = {
    "fresh: convolution": ("fresh_vision:efficientnet_v2",),
    "fresh: decoder": ("fresh_library:qwen3", "fresh_library:gemma3", "fresh:tutorial_gpt"),
    "fresh: decoder with convolutions": ("fresh_library:lfm2",),
    "fresh: dense prediction": ("fresh_vision:fcn_resnet50", "fresh_library:depth_anything", "fresh_library:pose"),
    "fresh: detection": ("fresh_library:rt_detr", "fresh_vision:ssd300"),
    "fresh: document": ("fresh_library:layoutlmv3",),
    "fresh: embedder": ("fresh_library:xlm_roberta", "fresh_library:canine"),
    "fresh: equations": ("fresh:neural_ode", "fresh:spline_net"),
    "fresh: flow": ("fresh_vision:optical_flow",),
    "fresh: graph": ("fresh:graph_transformer",),
    "fresh: image and text": ("fresh_library:blip",),
    "fresh: reading": ("fresh:crnn", "fresh_library:trocr"),
    "fresh: recommender": ("fresh:collaborative_filter",),
    "fresh: scan": ("fresh:volume_unet",),
    "fresh: series": ("fresh_library:time_series_transformer", "fresh_library:decision_transformer"),
    "fresh: set": ("fresh:set_transformer",),
    "fresh: speech": ("fresh_library:wav2vec2", "fresh:speech_decoder"),
    "fresh: state space": ("fresh:diagonal_state_space",),
    "fresh: translation": ("fresh_library:marian",),
    "fresh: video": ("fresh_vision:separable_video", "fresh:rain_forecast"),
    "fresh: vision transformer": ("fresh_library:dinov3",),
}
"""Like ``FAMILIES``. Measured once; predicted once, for a release; nobody looks at their errors while something is
tuned.
"""

STRANGERS: dict[str, tuple[str, ...]] = {
    "strangers: codec": ("strangers_library:dac",),
    "strangers: convolution": ("strangers_vision:convmixer",),
    "strangers: decoder": ("strangers:own_llama", "strangers_library:smollm3"),
    "strangers: decoding": ("strangers_library:granite",),
    "strangers: denoiser": ("strangers:speech_enhancer",),
    "strangers: density": ("strangers:glow",),
    "strangers: detection": ("strangers_library:rf_detr", "strangers_vision:fcos"),
    "strangers: embedder": ("strangers_library:nomic_bert",),
    "strangers: experts": ("strangers_library:gpt_oss",),
    "strangers: heart": ("strangers:ecg_resnet",),
    "strangers: hypernetwork": ("strangers:hypernetwork",),
    "strangers: image and text": ("strangers_library:florence2",),
    "strangers: linear attention": ("strangers_library:qwen3_next",),
    "strangers: long text": ("strangers_library:big_bird", "strangers_library:longt5"),
    "strangers: mesh": ("strangers:mesh_simulator",),
    "strangers: points": ("strangers:pointnet_plus",),
    "strangers: pose": ("strangers_vision:hrnet",),
    "strangers: recommender": ("strangers:interest_network",),
    "strangers: segmentation": ("strangers_library:mask2former",),
    "strangers: series": ("strangers:temporal_fusion", "strangers_library:timesfm"),
    "strangers: speech": ("strangers_library:parakeet", "strangers_library:moonshine"),
    "strangers: table": ("strangers_library:tapas",),
    "strangers: tagger": ("strangers:crf_tagger",),
    "strangers: tracking": ("strangers:siamese_tracker",),
    "strangers: video": ("strangers_library:vjepa2",),
    "strangers: vision transformer": ("strangers_vision:maxvit", "strangers_vision:xcit"),
}
"""Like ``FRESH``, by the habits of people who know nothing of this project."""

NEWCOMERS: dict[str, tuple[str, ...]] = {
    "newcomers: agent": ("newcomers:impala",),
    "newcomers: connector": ("newcomers_library:query_connector",),
    "newcomers: convolution": ("newcomers_vision:se_resnet_d",),
    "newcomers: decoder": ("newcomers_library:ernie",),
    "newcomers: detection by text": ("newcomers_library:owl_vit",),
    "newcomers: face": ("newcomers_vision:inception_resnet",),
    "newcomers: medical U-Net": ("newcomers_vision:convnext_unet",),
    "newcomers: molecule": ("newcomers:bond_messages",),
    "newcomers: operator": ("newcomers:deep_operator",),
    "newcomers: pooling": ("newcomers_vision:poolformer",),
    "newcomers: reading": ("newcomers_library:line_reader",),
    "newcomers: reranker": ("newcomers_library:modern_bert",),
    "newcomers: review": ("newcomers:review_reader",),
    "newcomers: robot": ("newcomers:diffusion_policy",),
    "newcomers: segmentation": ("newcomers_library:upernet",),
    "newcomers: series": ("newcomers_library:informer",),
    "newcomers: session": ("newcomers:session_recommender",),
    "newcomers: sound": ("newcomers_library:clap_audio",),
    "newcomers: speaker": ("newcomers:speaker_embedder",),
    "newcomers: translation": ("newcomers_library:nllb",),
    "newcomers: upscaling": ("newcomers_vision:distilled_upscaler",),
    "newcomers: vocoder": ("newcomers_library:univnet",),
}
"""Like ``STRANGERS``, written when those had been read, by someone who predicted none of them."""

VISITORS: dict[str, tuple[str, ...]] = {
    "visitors: agent": ("visitors:dreamer",),
    "visitors: board game": ("visitors:alpha_zero",),
    "visitors: cell network": ("visitors_vision:darts",),
    "visitors: convolution": ("visitors_vision:mobile_one",),
    "visitors: decoder": ("visitors_library:pythia",),
    "visitors: denoiser": ("visitors:wave_denoiser",),
    "visitors: depth mixture": ("visitors:depth_mixture",),
    "visitors: detection": ("visitors_vision:centre_net",),
    "visitors: dialogue": ("visitors_library:blenderbot_small",),
    "visitors: hybrid transformer": ("visitors_vision:levit",),
    "visitors: image and text": ("visitors_library:chinese_clip",),
    "visitors: latent attention": ("visitors_library:latent_attention",),
    "visitors: molecule": ("visitors:equivariant",),
    "visitors: objects": ("visitors:slot_attention",),
    "visitors: recommender": ("visitors:deep_cross",),
    "visitors: recurrent decoding": ("visitors:rwkv_step",),
    "visitors: saliency": ("visitors_vision:u2net",),
    "visitors: search": ("visitors_library:splade",),
    "visitors: searched encoder": ("visitors:searched_encoder",),
    "visitors: segmentation": ("visitors_library:segformer",),
    "visitors: sentence pair": ("visitors_library:mpnet",),
    "visitors: series": ("visitors:probabilistic_forecast",),
    "visitors: speech": ("visitors_library:sew",),
    "visitors: speech synthesis": ("visitors:fast_speech",),
    "visitors: table": ("visitors:tab_net",),
    "visitors: vision transformer": ("visitors_library:hiera",),
}
"""Like ``NEWCOMERS``, of the test after theirs: other kinds of models, in the habits of many authors."""

GUESTS: dict[str, tuple[str, ...]] = {
    "guests: adapters": ("guests:adapted_int8",),
    "guests: alignment by attention": ("guests:tacotron",),
    "guests: caption": ("guests_library:captioner",),
    "guests: codec with recurrence": ("guests_library:encodec",),
    "guests: controlled diffusion": ("guests_vision:control_net",),
    "guests: decoder with slopes": ("guests_library:bloom",),
    "guests: detection by few points": ("guests_library:deformable_detr",),
    "guests: driving": ("guests:liquid_driver",),
    "guests: forest": ("guests:oblivious_trees",),
    "guests: form": ("guests_library:lilt",),
    "guests: gated recurrence": ("guests_library:griffin",),
    "guests: genome": ("guests:enformer",),
    "guests: graph": ("guests:principal_aggregation",),
    "guests: guessed tokens": ("guests:medusa",),
    "guests: image assistant": ("guests_library:smol_vlm",),
    "guests: image repair": ("guests_vision:inpainting", "guests_vision:restormer"),
    "guests: lidar": ("guests_vision:point_pillars",),
    "guests: lips": ("guests_vision:wav2lip",),
    "guests: memory": ("guests:turing_machine",),
    "guests: music": ("guests:demucs",),
    "guests: norm-free convolution": ("guests_vision:nf_net",),
    "guests: outlook attention": ("guests_vision:volo",),
    "guests: particles": ("guests:jet_transformer",),
    "guests: pose in space": ("guests_vision:pose_lifter",),
    "guests: posterior": ("guests:spline_flow",),
    "guests: protein": ("guests:evoformer",),
    "guests: robot": ("guests:action_chunker",),
    "guests: segmentation by words": ("guests_library:clip_segmenter",),
    "guests: sleep": ("guests:sleep_stager",),
    "guests: stereo": ("guests_vision:stereo",),
    "guests: tasks": ("guests:multi_task",),
    "guests: text by distance": ("guests_library:xlnet",),
    "guests: video and text": ("guests_library:x_clip",),
    "guests: voice": ("guests:voice_changer",),
    "guests: weather": ("guests:weather",),
}
"""Like ``VISITORS``, of the test after theirs, by someone who predicted none of them."""

WILD: dict[str, tuple[str, ...]] = {
    "wild: added branches": ("wild:repghost",),
    "wild: attention of channels": ("wild:davit",),
    "wild: decoder": ("wild:hunyuan",),
    "wild: deep graph": ("wild:deeper_gcn",),
    "wild: diffusion in one stream": ("wild:z_image",),
    "wild: diffusion transformer": ("wild:prx",),
    "wild: diffusion with resampled text": ("wild:fibo",),
    "wild: experts": ("wild:flex_olmo",),
    "wild: gated convolution": ("wild:mamba_out",),
    "wild: gated vision transformer": ("wild:vitamin",),
    "wild: graph at inference": ("wild:pmlp",),
    "wild: graph of hops": ("wild:tag",),
    "wild: growing channels": ("wild:rexnet",),
    "wild: image codec": ("wild:image_codec",),
    "wild: light segmentation": ("wild:lraspp",),
    "wild: linear attention of images": ("wild:efficient_vit",),
    "wild: masked image tokens": ("wild:amused",),
    "wild: mesh": ("wild:feast",),
    "wild: modulated attention": ("wild:iformer",),
    "wild: molecules": ("wild:attentive_fp",),
    "wild: one-shot aggregation": ("wild:vovnet",),
    "wild: partial convolution": ("wild:fasternet",),
    "wild: pooled keys": ("wild:next_vit",),
    "wild: pooled tokens": ("wild:pit",),
    "wild: pooled video": ("wild:mvit",),
    "wild: pooling, then attention": ("wild:efficient_former",),
    "wild: recurrent vision": ("wild:sequencer",),
    "wild: relative positions": ("wild:relative_vit",),
    "wild: selective kernels": ("wild:sknet",),
    "wild: selective skips": ("wild:selec_sls",),
    "wild: series": ("wild:timesfm",),
    "wild: shared expert": ("wild:hunyuan_experts",),
    "wild: sound codec": ("wild:speech_codec",),
    "wild: sound decoder": ("wild:mimi",),
    "wild: split attention": ("wild:resnest",),
    "wild: state space": ("wild:falcon_mamba",),
    "wild: talking heads": ("wild:efficient_former_v2",),
    "wild: text with convolutions": ("wild:sam_words",),
    "wild: tiny windows": ("wild:tiny_vit",),
    "wild: windows of video": ("wild:video_swin",),
}
"""Like ``GUESTS``, of the test after theirs: models of public libraries as their authors wrote them, by a draw
(wild.py says which). They need timm, torchvision, diffusers and torch_geometric.
"""

DRAWN: dict[str, tuple[str, ...]] = {
    "drawn: added attention": ("drawn:swift_former",),
    "drawn: attention by cosines": ("drawn:agnn",),
    "drawn: attention in bottlenecks": ("drawn:bot_net",),
    "drawn: attention on few channels": ("drawn:shvit",),
    "drawn: blurred strides": ("drawn:tresnet",),
    "drawn: chebyshev polynomials": ("drawn:cheb_net",),
    "drawn: cross-stage blocks": ("drawn:csp_net",),
    "drawn: crossed sizes of patches": ("drawn:cross_vit",),
    "drawn: decoder side by side": ("drawn:compass",),
    "drawn: dense convolution once more": ("drawn:rdnet",),
    "drawn: diffusion in shared modulations": ("drawn:flux2",),
    "drawn: entities": ("drawn:luke",),
    "drawn: experts among convolutions": ("drawn:lfm2_experts",),
    "drawn: film and sound": ("drawn:film_and_sound",),
    "drawn: film codec": ("drawn:film_codec",),
    "drawn: film denoiser": ("drawn:cosmos",),
    "drawn: films as patches": ("drawn:flash_video",),
    "drawn: graph of diffusion": ("drawn:rect",),
    "drawn: image assistant": ("drawn:intern_vl",),
    "drawn: image editing": ("drawn:image_editor",),
    "drawn: image reader": ("drawn:image_reader",),
    "drawn: inception of depths": ("drawn:inception_next",),
    "drawn: judges of patches": ("drawn:patch_judges",),
    "drawn: low resolution": ("drawn:low_former",),
    "drawn: mask queries": ("drawn:mask_former",),
    "drawn: means of neighbours": ("drawn:graph_sage",),
    "drawn: nested blocks": ("drawn:nest",),
    "drawn: pooled and windowed": ("drawn:scalable_vit",),
    "drawn: scan segmentation": ("drawn:seg_res_net",),
    "drawn: scan transformer": ("drawn:unetr",),
    "drawn: segmentation by concepts": ("drawn:sam_concepts",),
    "drawn: shifted patches": ("drawn:small_data_vit",),
    "drawn: sound encoder": ("drawn:mimi_encoder",),
    "drawn: split convolution": ("drawn:res2net",),
    "drawn: split depths": ("drawn:edge_next",),
    "drawn: twin attention": ("drawn:twins",),
}
"""Like ``WILD``, of the test after theirs, by another draw (drawn.py says which), before which nobody predicted any of
them. They need timm, torchvision, diffusers, torch_geometric, vit_pytorch and monai.
"""

PICKED: dict[str, tuple[str, ...]] = {
    "picked: animation": ("picked:animation",),
    "picked: appended and added": ("picked:dual_path",),
    "picked: bases of a graph": ("picked:bases",),
    "picked: buckets of a hash": ("picked:reformer",),
    "picked: causal codec": ("picked:causal_codec",),
    "picked: chosen by gates of heads": ("picked:con_vit",),
    "picked: concatenated and excited": ("picked:hg_net",),
    "picked: cross-stage windows": ("picked:csp_next",),
    "picked: decoder of gates": ("picked:moshi",),
    "picked: depth at three scales": ("picked:sharp_depth",),
    "picked: dilated windows": ("picked:deeplab_plus",),
    "picked: experts with sinks": ("picked:granite_experts",),
    "picked: factored video": ("picked:factored_video",),
    "picked: film codec": ("picked:frame_codec",),
    "picked: gated deltas and an image": ("picked:qwen",),
    "picked: global queries": ("picked:gc_vit",),
    "picked: grouped mobile blocks": ("picked:cpu_bone",),
    "picked: hidden states mixed": ("picked:efficient_vim",),
    "picked: image assistant in tiles": ("picked:llava",),
    "picked: joints of people": ("picked:joints",),
    "picked: late class token": ("picked:cait",),
    "picked: latent experts": ("picked:latent_experts",),
    "picked: listener": ("picked:listener",),
    "picked: looped transformer": ("picked:looped",),
    "picked: matrices of edges": ("picked:edge_matrices",),
    "picked: mixed video": ("picked:mixed_video",),
    "picked: next diffusion transformer": ("picked:lumina",),
    "picked: page reader": ("picked:page_reader",),
    "picked: polynomials of a graph": ("picked:polynormer",),
    "picked: pooled pyramid": ("picked:psp_net",),
    "picked: pyramid of attention": ("picked:pan",),
    "picked: retina": ("picked:retina_net",),
    "picked: rotary vision": ("picked:eva",),
    "picked: several windows": ("picked:lc_net",),
    "picked: special class token": ("picked:special_class",),
    "picked: speech with letters": ("picked:medical_speech",),
    "picked: trained branches": ("picked:rep_vit",),
    "picked: transformer in transformer": ("picked:tnt",),
}
"""Like ``DRAWN``, of the test after theirs, by a third draw (picked.py says which), before which nobody predicted any
of them. They need timm, torchvision, diffusers, torch_geometric, vit_pytorch and segmentation_models_pytorch.
"""

FOUND: dict[str, tuple[str, ...]] = {
    "found: attention less attention": ("found:sound_denoiser",),
    "found: attention of convolutions": ("found:visformer",),
    "found: bilinear attention": ("found:bilinear_attention",),
    "found: blocks of frames": ("found:block_conformer",),
    "found: bottlenecks of attention": ("found:bottleneck_attention",),
    "found: cascaded groups": ("found:cascaded_groups",),
    "found: centres of boxes": ("found:fcos",),
    "found: clipped experts": ("found:dbrx",),
    "found: decoder with offsets": ("found:opt",),
    "found: depthwise and pointwise": ("found:mobile_net",),
    "found: edges of relations": ("found:relations",),
    "found: edges supervised": ("found:super_gat",),
    "found: eye of segmentation": ("found:hiera_det",),
    "found: factored attention": ("found:coat",),
    "found: filter responses": ("found:hy_net",),
    "found: gated convolutions of seven": ("found:liquid",),
    "found: guesses denoised": ("found:drafter",),
    "found: images of any shape": ("found:any_shape",),
    "found: layers remembered": ("found:layer_memory",),
    "found: light detection": ("found:light_detector",),
    "found: linear diffusion": ("found:sana",),
    "found: masked codec": ("found:asymmetric_codec",),
    "found: mobile transformer": ("found:mobile_vit",),
    "found: norms before": ("found:pre_activation",),
    "found: patches of points": ("found:sos_net",),
    "found: pixels as words": ("found:image_gpt",),
    "found: pooled images": ("found:pooled_attention",),
    "found: protein by pairs": ("found:protein",),
    "found: reasoner": ("found:edge_reasoner",),
    "found: residual hybrid": ("found:hybrid_vit",),
    "found: signs of weights": ("found:one_bit",),
    "found: speech among words": ("found:speech_words",),
    "found: stars": ("found:star_net",),
    "found: trained mixers": ("found:fast_vit",),
    "found: transcriber": ("found:transcriber",),
    "found: wide words": ("found:kandinsky",),
}
"""Like ``PICKED``, of the test after theirs, by a fourth draw (found.py says which), before which nobody predicted any
of them. They need timm, torchvision, diffusers, torch_geometric, kornia and pytorchcv.
"""

UNSEEN: dict[str, dict[str, tuple[str, ...]]] = {
    "fresh": FRESH,
    "strangers": STRANGERS,
    "newcomers": NEWCOMERS,
    "visitors": VISITORS,
    "guests": GUESTS,
    "wild": WILD,
    "drawn": DRAWN,
    "picked": PICKED,
    "found": FOUND,
}
"""Split -> its families, of those that nothing is tuned on and that are read once."""

SEED = 19

HELD_OUT: tuple[str, ...] = (
    *("bert", "channels-last", "controller", "deberta", "decoder with rotary positions"),
    *("decoding with a concatenated cache", "dense convolution", "detection heads", "experts by index", "field"),
    *("generator", "image and text", "image autoencoder", "large patches", "modern convolution", "molecule"),
    "upscaling",
)
"""Families that nothing is tuned on."""


def draw() -> tuple[str, ...]:
    """A third of the families, at random: what ``HELD_OUT`` was made by."""
    names = sorted(FAMILIES)
    random.Random(SEED).shuffle(names)
    return tuple(sorted(names[: len(names) // 3]))


def split_of(family: str) -> str:
    """ "learn", "held_out" or a split of ``UNSEEN``."""
    for split, families in UNSEEN.items():
        if family in families:
            return split
    return "held_out" if family in HELD_OUT else "learn"


def specification(model: str) -> str:
    """What ``--model`` takes: "small:lenet" -> "benchmarks/battery/small.py:lenet"."""
    file, function = model.split(":")
    return f"benchmarks/battery/{file}.py:{function}"


def blocks(split: str) -> list[list[str]]:
    """Models of a split: the first of each family, then the others: if time runs out many kinds are measured."""
    table = UNSEEN.get(split, FAMILIES)
    families = [members for family, members in table.items() if split_of(family) == split]
    return [[members[0] for members in families], [member for members in families for member in members[1:]]]


def models(split: str) -> list[str]:
    """Models of a split, in the order in which they are measured."""
    return [model for block in blocks(split) for model in block]


BF16_ONLY = frozenset({"sequences:experts_grouped"})
"""Models with an operator that torch has in bf16 alone (``grouped_mm``)."""


def usual(model: str) -> tuple[tuple[str, int], ...]:
    """(Dtype, batch) of a model, whatever else of it is measured."""
    dtype = "bf16" if model in BF16_ONLY else "fp16"
    return (dtype, 1), (dtype, 16)


def variants(split: str) -> dict[str, tuple[tuple[str, int], ...]]:
    """Model -> more (dtype, batch): of seven models one with batches of 4 and 32, one in fp32, one in bf16.

    Of a split that is read once there are none.
    """
    if split in UNSEEN:
        return {}
    more = {0: (("fp16", 4), ("fp16", 32)), 2: (("fp32", 1), ("fp32", 16)), 4: (("bf16", 1), ("bf16", 16))}
    chosen = [model for model in models(split) if model not in BF16_ONLY]
    return {model: more[i % 7] for i, model in enumerate(chosen) if i % 7 in more}
