"""The referee's cases, by name: INDEX says which test holds each, and what stood in no other file is tested here.

They were computed with Keras 3.15 and tf_keras 2.21 on TensorFlow 2.21, TensorFlow 2.7, and PyTorch 2.13 in float64.
"""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from tinyllm.callbacks import EarlyStopping
from tinyllm.layers import LSTM, Dense, Embedding
from tinyllm.models import Sequential
from tinyllm.saving import to_state_dict

HERE = Path(__file__).parent

# fmt: off
INDEX = {
    "document_program.encoded": "models/test_document_program.py::test_each_sentence_is_one_word_because_the_tokenizer_splits_at_spaces",
    "document_program.model": "models/test_document_program.py::test_the_model_has_60701_parameters",
    "document_program.bands": "models/test_document_program.py::test_the_first_and_the_last_loss_lie_where_44_runs_of_keras_lie",
    "document_program.predictions": "models/test_document_program.py::test_the_predictions_lie_where_44_runs_of_keras_lie",
    "document_program.generation": "models/test_document_program.py::test_its_generation_raises_the_type_error_that_keras_raises_and_says_what_to_do",
    "document_program.api_intended": "models/test_document_program.py::test_the_class_is_where_the_probability_is_above_a_half_not_the_argmax",
    "document_program.save_h5": "saving/test_keras_files.py::test_a_file_that_keras_3_wrote_gives_the_predictions_that_keras_gave",
    "document_program.char_level_variant": "preprocessing/test_text.py::test_the_sentences_of_the_document_by_character",
    "document_program.char_lm_repair.floor": "models/test_language_model.py::test_it_reaches_the_floor_on_the_three_sentences",
    "document_program.char_lm_repair.greedy": "models/test_language_model.py::test_it_reproduces_every_sentence_from_its_first_character",
    "document_program.char_lm_repair.p_first_char": "models/test_language_model.py::test_the_three_first_characters_are_equally_likely",
    "keras.tokenizer": "preprocessing/test_text.py::test_texts_become_ids_and_words_again_as_in_keras",
    "keras.tokenizer_fit_on_sequences": "preprocessing/test_text.py::test_fitting_on_sequences_counts_each_id_once_a_sequence",
    "keras.tokenizer_json_keys": "preprocessing/test_text.py::test_the_configuration_has_the_twelve_keys_of_keras",
    "keras.text_to_word_sequence": "preprocessing/test_text.py::test_a_text_is_split_as_in_keras",
    "keras.pad_sequences": "preprocessing/test_sequence.py::test_padding_as_in_keras",
    "keras.layers.lstm_cases": "layers/test_recurrent.py::test_an_lstm_has_the_values_and_the_gradients_of_keras",
    "keras.layers.embedding": "layers/test_embedding.py::test_values_and_gradients_are_those_of_keras_with_repeated_ids_added_up",
    "keras.layers.embedding_errors": "layers/test_embedding.py::test_float_ids_are_cut_to_whole_numbers",
    "keras.layers.embedding_mask_zero": "layers/test_embedding.py::test_zero_is_masked_only_where_mask_zero_says_so",
    "keras.layers.dense_cases": "layers/test_dense.py::test_a_dense_layer_has_the_values_and_the_gradients_of_keras",
    "keras.layers.dense_3d": "layers/test_dense.py::test_a_dense_layer_works_along_the_last_axis_of_any_input",
    "keras.layers.activations": "test_activations.py::test_the_values_are_those_of_keras",
    "keras.layers.softmax": "test_activations.py::test_softmax_is_that_of_keras_even_for_a_thousand",
    "keras.layers.gru_reset_after": "layers/test_golden.py::test_a_layer_has_the_values_and_the_gradients_of_keras",
    "keras.layers.simple_rnn": "layers/test_golden.py::test_a_layer_has_the_values_and_the_gradients_of_keras",
    "keras.layers.layer_norm": "layers/test_golden.py::test_a_layer_has_the_values_and_the_gradients_of_keras",
    "keras.models.classifier": "test_training.py::test_a_classifier_has_the_values_and_the_gradients_of_keras",
    "keras.models.lm": "test_training.py::test_a_language_model_has_the_values_and_the_gradients_of_keras",
    "keras.lm_masked_mean": "test_training.py::test_a_masked_loss_is_the_mean_over_the_steps_that_count",
    "keras.lm_train_on_batch_sgd0.5": "test_training.py::test_one_step_of_gradient_descent_is_that_of_keras",
    "keras.lstm_premask_init_state": "layers/test_recurrent.py::test_before_the_first_step_that_counts_the_output_is_zero_even_with_an_initial_state",
    "keras.lstm_stateful": "layers/test_recurrent.py::test_a_stateful_lstm_starts_where_the_last_batch_stopped_until_it_is_reset",
    "keras.losses_keras3": "test_losses.py::test_a_loss_has_the_value_and_the_gradient_of_keras_3",
    "keras.losses_tf_keras_legacy": "test_losses.py::test_what_is_certain_and_wrong_costs_16_nats_here_and_100_in_pytorch",
    "keras.metrics.binary_accuracy": "test_metrics.py::test_a_half_is_not_above_the_threshold",
    "keras.metrics.categorical_accuracy": "test_metrics.py::test_the_most_probable_class_counts_and_the_first_of_equals",
    "keras.metrics.sparse_categorical_accuracy": "test_metrics.py::test_the_most_probable_class_counts_and_the_first_of_equals",
    "keras.optimizers": "optimizers/test_golden.py::test_five_steps_are_those_of_keras",
    "keras.optimizers_keras3": "optimizers/test_golden.py::test_five_steps_are_those_of_keras",
    "keras.optimizer_defaults": "optimizers/test_golden.py::test_the_defaults_are_those_of_keras",
    "keras.clip_two_vars": "optimizers/test_golden.py::test_two_gradients_are_clipped_as_keras_clips_them",
    "keras.fit_semantics.partial_last_batch": "test_training.py::test_a_short_last_batch_counts_for_what_it_holds",
    "keras.fit_semantics.sgd_3epochs": "test_training.py::test_three_epochs_of_gradient_descent_are_those_of_keras",
    "keras.fit_semantics.validation_split": "test_training.py::test_the_last_samples_are_held_out_before_any_shuffling",
    "keras.fit_semantics.default_batch_size": "test_training.py::test_the_batch_size_is_32_unless_told_and_the_history_knows_its_epochs",
    "keras.fit_semantics.sample_weight": "test_training.py::test_sample_weights_multiply_and_the_mean_is_still_over_the_samples",
    "keras.fit_semantics.predict": "test_training.py::test_predict_gives_one_row_per_sample_in_any_batch_size",
    "keras.fit_semantics.train_on_batch": "test_training.py::test_train_on_batch_reports_what_was_before_its_step",
    "keras.fit_semantics.binary_clf": "test_training.py::test_a_binary_classifier_reports_what_keras_reports",
    "keras.fit_semantics.class_weight": "test_training.py::test_class_weights_multiply_the_loss_and_leave_the_accuracy",
    "keras.optimiser_trajectories": "test_training.py::test_twenty_epochs_follow_the_path_of_keras",
    "keras.freeze": "test_training.py::test_a_frozen_layer_keeps_its_weights_while_the_others_learn",
    "keras.dropout0.25": "layers/test_dense.py::test_dropout_scales_what_it_keeps_so_that_the_mean_stays",
    "keras.early_stopping": "test_truth.py::test_training_that_never_improves_stops_after_patience",
    "keras.y_shapes": "test_training.py::test_labels_may_be_a_list_a_row_or_a_column",
    "keras.errors": "test_truth.py::test_a_misuse_that_keras_refuses_is_refused_here_in_one_line",
    "keras.errors.variable_length": "test_truth.py::test_lengths_may_differ_between_calls",
    "keras.initializers": "test_initializers.py::test_the_spread_is_that_of_keras",
    "keras.initializers.lstm_bias": "layers/test_recurrent.py::test_the_forget_gate_starts_at_one_unless_told_otherwise",
    "keras.initializers.layers": "test_truth.py::test_layers_start_as_in_keras",
    "keras.lstm_default_config": "test_truth.py::test_an_lstm_has_keras_defaults",
    "keras.stack_differences.bce_probability_path": "test_losses.py::test_what_is_certain_and_wrong_costs_16_nats_here_and_100_in_pytorch",
    "keras.stack_differences.bce_in_fit": "test_losses.py::test_binary_crossentropy_of_a_sigmoid_is_exact_and_its_slope_is_p_minus_y",
    "keras.stack_differences.hard_sigmoid": "test_activations.py::test_the_values_are_those_of_keras",
    "keras.stack_differences.masked_loss_mean": "test_training.py::test_a_masked_loss_is_the_mean_over_the_steps_that_count",
    "keras.stack_differences.embedding_adam_duplicate_indices": "optimizers/test_adaptive.py::test_a_row_that_is_looked_up_twice_is_squared_as_a_whole",
    "keras.stack_differences.adam_float32_betas": "test_training.py::test_a_hundred_epochs_are_those_of_keras_up_to_its_rounded_betas",
    "keras.stack_differences.embedding_negative_index": "layers/test_embedding.py::test_a_negative_id_is_refused_and_not_counted_from_the_end",
    "keras.stack_differences.embedding_float_index": "layers/test_embedding.py::test_float_ids_are_cut_to_whole_numbers",
    "keras.stack_differences.unknown_loss_name": "test_truth.py::test_a_misuse_that_keras_refuses_is_refused_here_in_one_line",
    "e2e_training.numpy_pure_f64": "test_training.py::test_a_hundred_epochs_are_those_of_an_independent_program_in_float64",
    "e2e_training.tf_keras": "test_training.py::test_a_hundred_epochs_are_those_of_keras_up_to_its_rounded_betas",
    "pytorch.param_order_and_shapes": "test_truth.py::test_pytorchs_names_order_and_shapes_of_an_lstm",
    "pytorch.lstm_param_count": "test_truth.py::test_pytorch_counts_two_biases",
    "pytorch.seq_output_and_gradients": "saving/test_pytorch.py::test_a_layer_and_its_twin_compute_the_same",
    "pytorch.optim": "optimizers/test_golden.py::test_five_steps_are_those_of_pytorch",
    "pytorch.optim_defaults": "optimizers/test_golden.py::test_the_defaults_are_those_of_keras",  # PyTorch's are not ours
    "pytorch.lstm_init": "test_initializers.py::test_weights_may_start_as_pytorchs_do",
    "pytorch.linear_init": "test_initializers.py::test_weights_may_start_as_pytorchs_do",
    "pytorch.embedding_init": "test_initializers.py::test_rows_may_start_as_those_of_pytorchs_embedding",
    "pytorch.embedding_padding_idx_row0": "layers/test_embedding.py::test_the_row_of_the_padding_starts_and_learns_like_any_other",
    "pytorch.bce_default": "test_losses.py::test_pytorch_has_the_same_binary_crossentropy_where_nothing_is_clipped",
    "pytorch.bce_extreme_none": "test_losses.py::test_what_is_certain_and_wrong_costs_16_nats_here_and_100_in_pytorch",
    "generation.temperature": "generation/test_sampling.py::test_temperature_raises_probabilities_to_a_power",
    "generation.top_k": "generation/test_sampling.py::test_top_k_keeps_the_k_most_probable",
    "generation.top_p": "generation/test_sampling.py::test_top_p_keeps_the_smallest_set_that_reaches_p",
    "generation.greedy": "generation/test_sampling.py::test_the_truths_worked_examples_come_out",
    "generation.distinct_n": "generation/test_sampling.py::test_the_truths_worked_examples_come_out",
    "generation.beam_vs_greedy": "generation/test_beams.py::test_two_beams_find_what_greedy_choice_misses",
    "generation.entropy_nats": "test_metrics.py::test_the_perplexity_of_a_distribution_is_exp_of_its_entropy",
    "generation.perplexity": "test_metrics.py::test_the_perplexity_of_a_distribution_is_exp_of_its_entropy",
    "fairness.per_group": "audit/test_fairness.py::test_each_rate_of_each_group_is_the_stored_one",
    "fairness.demographic_parity": "audit/test_fairness.py::test_demographic_parity_difference_is_the_stored_one",
    "fairness.disparate_impact": "audit/test_fairness.py::test_disparate_impact_ratio_is_the_stored_one",
    "fairness.equal_opportunity": "audit/test_fairness.py::test_equal_opportunity_difference_is_the_stored_one",
    "fairness.equalized_odds": "audit/test_fairness.py::test_equalized_odds_difference_is_the_stored_one",
    "fairness.accuracy_gap": "audit/test_fairness.py::test_accuracy_gap_is_the_stored_one",
    "normalisation": "preprocessing/test_cleaning.py::test_the_worked_numbers",
    "ensembling.soft_vote": "models/test_ensemble.py::test_the_soft_vote_is_the_stored_one",
    "ensembling.hard_vote": "models/test_ensemble.py::test_the_hard_vote_is_the_stored_one",
}
# fmt: on


@pytest.mark.parametrize("case", INDEX)
def test_the_test_of_a_case_is_there(case):
    file, name = INDEX[case].split("::")
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_page_about_training_says_which_stack_is_followed_at_every_difference():
    prefix = "keras.stack_differences."
    page = (HERE.parent / "docs" / "training.md").read_text(encoding="utf-8")
    told = re.findall(r"\| `(\w+)` \|$", page, re.MULTILINE)
    assert sorted(told) == sorted(case.removeprefix(prefix) for case in INDEX if case.startswith(prefix))


# -- what stands in no other file -----------------------------------------------------------------------------------


def classifier():
    model = Sequential([Embedding(4, 2), LSTM(3), Dense(1, "sigmoid")])
    model.build((None, 3))
    return model


IDS, LABELS = np.array([[1, 2, 3], [3, 2, 1], [1, 1, 0]]), np.array([1, 0, 1])
ERRORS = {
    "fit_before_compile": (lambda m: m.fit(IDS, LABELS), RuntimeError, r"call compile\(optimizer, loss\) before fit"),
    # TensorFlow's stacks say nothing before fit()
    "unknown_loss": (lambda m: m.compile("sgd", "nope"), ValueError, "unknown loss 'nope'; known: "),
    "unknown_optimizer": (lambda m: m.compile("nope", "mse"), ValueError, "unknown optimizer 'nope'; known: "),
    "unknown_activation": (lambda m: Dense(1, "nope"), ValueError, "unknown activation 'nope'; known: "),
    "X_y_length_mismatch": (
        lambda m: m.compile("sgd", "mse") or m.fit(IDS, LABELS[:2]),
        ValueError,
        r"fit: x has 3 samples and y has shape \(2,\)",
    ),
    "index_out_of_vocab": (
        lambda m: m.predict([[4, 0, 0]]),
        IndexError,
        r"token id 4 is outside 0\.\.3 \(input_dim=4\)",
    ),
    "set_weights_wrong_shape": (
        lambda m: m.set_weights([np.ones((1, 1)), *m.get_weights()[1:]]),
        ValueError,
        r"weight 'embedding/embeddings' has shape \(4, 2\), found \(1, 1\)",
    ),
    "set_weights_wrong_count": (
        lambda m: m.set_weights(m.get_weights()[:1]),
        ValueError,
        "has 6 weights, found a list of 1",
    ),
    "lstm_2d_input": (lambda m: LSTM(3)(np.ones((2, 3))), ValueError, r"expected inputs \(batch, time, features\)"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_misuse_that_keras_refuses_is_refused_here_in_one_line(name):
    action, error, message = ERRORS[name]
    with pytest.raises(error, match=message) as caught:
        action(classifier())
    assert "\n" not in str(caught.value)


def test_lengths_may_differ_between_calls():
    model = classifier()
    assert model.predict(np.ones((2, 5))).shape == model.predict(np.ones((2, 7))).shape == (2, 1)


def test_training_that_never_improves_stops_after_patience():
    model = classifier()
    model.compile("sgd", "binary_crossentropy")
    model.optimizer.learning_rate = 0.0
    stopping = EarlyStopping("loss", patience=3)
    history = model.fit(IDS, LABELS, epochs=20, shuffle=False, callbacks=stopping, verbose=0)
    assert (len(history.epoch), stopping.stopped_epoch) == (4, 3)


def test_an_lstm_has_keras_defaults():
    config = LSTM(3).get_config()
    plain = {
        "trainable": True, "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False,
        "unroll": False, "zero_output_for_mask": False, "units": 3, "activation": "tanh", "use_bias": True,
        "recurrent_activation": "sigmoid", "unit_forget_bias": True, "kernel_regularizer": None,
        "recurrent_regularizer": None, "bias_regularizer": None, "dropout": 0.0, "recurrent_dropout": 0.0,
    }  # fmt: skip
    assert plain.items() <= config.items()
    names = [str(config[f"{each}_initializer"]).lower().replace("_", "") for each in ("kernel", "recurrent", "bias")]
    assert all(wanted in name for wanted, name in zip(("glorotuniform", "orthogonal", "zeros"), names))


def test_layers_start_as_in_keras():
    dense, lstm, table = Dense(1), LSTM(100), Embedding(1000, 50)
    dense(np.ones((1, 100))), lstm(np.ones((1, 2, 50))), table(np.zeros((1, 1), int))
    limits = [(dense.kernel, 0.243733), (lstm.kernel, 0.115470), (table.embeddings, 0.05)]  # sqrt(6 / (ins + outs))
    for w, limit in limits:
        assert 0.9 * limit < np.abs(w.data).max() <= limit + 1e-6
    recurrent = lstm.recurrent_kernel.data
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(100), atol=1e-5)
    assert not dense.bias.data.any()


def test_pytorchs_names_order_and_shapes_of_an_lstm():
    layer = LSTM(3)
    layer(np.ones((1, 4, 2)))
    shapes = {name: w.shape for name, w in to_state_dict(layer).items()}
    assert list(shapes.items()) == [
        ("weight_ih_l0", (12, 2)),
        ("weight_hh_l0", (12, 3)),
        ("bias_ih_l0", (12,)),
        ("bias_hh_l0", (12,)),
    ]


def test_pytorch_counts_two_biases():
    layer = LSTM(100)
    layer(np.ones((1, 2, 50)))
    assert sum(w.size for w in to_state_dict(layer).values()) == 60_800 == layer.count_params() + 400
