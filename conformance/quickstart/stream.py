from openai import OpenAI  # reads OPENAI_BASE_URL and OPENAI_API_KEY

for chunk in OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}], stream=True):
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
