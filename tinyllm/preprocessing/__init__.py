"""From raw text to arrays: clean it, turn it into integers, pad it to a rectangle.

cleaning   clean_text, clean_texts; min_max_scale, z_score, l2_normalize
text       Tokenizer, text_to_word_sequence, tokenizer_from_json, TextToIds
sequence   pad_sequences
"""

from tinyllm.preprocessing import cleaning, sequence, text

__all__ = ["cleaning", "sequence", "text"]
